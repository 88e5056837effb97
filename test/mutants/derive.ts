import { Glob } from 'bun'
import { parseSync } from 'oxc-parser'

/** One change of one source file that removes or weakens a protection. */
export type Mutant = {
  kind: Kind
  file: string
  line: number
  start: number
  end: number
  /** The original text and its replacement. */
  before: string
  after: string
  /** An import that the replacement needs. */
  importing?: string
}

type Kind = keyof typeof mutators | 'hand-written'

// biome-ignore lint/suspicious/noExplicitAny: a syntax tree of the parser
type Node = any
/** The node to replace, and its replacement. */
type Change = { at: Node; after: string; importing?: string }
type Mutate = (node: Node, context: { file: string; text: (node: Node) => string }) => Change[]

/** Files with SQL. The indexes of the schema change only the cost of a statement. */
const sqlFiles = /^src\/(auth|tasks|db)\/(?!schema)/
/** Files that decide about a request, and not those that document, start, connect, measure or log. */
const requestFiles =
  /^src\/(?!main|build|asset|lazy|log|config\/|db\/|cli\/|http\/(openapi\/|pages\/|access-log|server|validation-errors|problem-catalogue)|tasks\/(transfer\/formats|examples|transfer\/export)|health|rate-limit\/keyed-queue)/
/** The same without the files that read rows and build responses. */
const decisionFiles = new RegExp(`${requestFiles.source}(?!.*(repository|routes|changes).ts$)`)
const schemaFiles = /(schema|types|jwt)\.ts$/

/** The mutators by kind: the files that each is for, and the changes that it makes of a node. */
const mutators = {
  /** Removes a part of a WHERE: ownership, session, version, position in a list. */
  condition: {
    files: sqlFiles,
    mutate: (node) => {
      const name = calleeOf(node)
      if (name === 'and')
        return node.arguments.filter(isPresent).map((at: Node) => ({ at, after: 'undefined' }))
      if (name !== 'where') return []
      return node.arguments
        .filter((at: Node) => isPresent(at) && calleeOf(at) !== 'and')
        .map((at: Node) => ({ at, after: 'undefined' }))
    },
  },
  /** Removes the condition of a join. */
  join: {
    files: sqlFiles,
    mutate: (node) =>
      /Join(Lateral)?$/.test(calleeOf(node) ?? '') && calleeOf(node.arguments[1]) === 'eq'
        ? [
            {
              at: node.arguments[1],
              after: 'mutantSql`true`',
              importing: "import { sql as mutantSql } from 'drizzle-orm'",
            },
          ]
        : [],
  },
  /** Replaces `exists` in SQL templates by true: a session, an expired key, an earlier response. */
  exists: {
    files: sqlFiles,
    mutate: (node) => {
      if (node.type !== 'TaggedTemplateExpression' || node.tag.name !== 'sql') return []
      return node.quasi.quasis.flatMap((quasi: Node, at: number) => {
        const [found] = /(not )?exists \(select from $/.exec(quasi.value.raw) ?? []
        const of = node.quasi.expressions[at]
        if (found === undefined || of === undefined) return []
        // The `${` before the expression and the `})` after it are replaced too.
        return [{ at: { start: of.start - 2 - found.length, end: of.end + 2 }, after: 'true' }]
      })
    },
  },
  /** Disables a refusal or an early return. */
  refusal: {
    files: requestFiles,
    mutate: (node) =>
      node.type === 'IfStatement' && node.alternate === null && endsInRefusal(node.consequent)
        ? [{ at: node.test, after: 'false' }]
        : [],
  },
  /** Removes one operand of `&&` or `||`. */
  reason: {
    files: decisionFiles,
    mutate: (node) => {
      if (node.type !== 'LogicalExpression' || node.operator === '??') return []
      const after = String(node.operator === '&&')
      const parts = [node.left, node.right]
      return parts
        .filter((at: Node) => at.type !== 'LogicalExpression' || at.operator !== node.operator)
        .map((at: Node) => ({ at, after }))
    },
  },
  /** Passes an absent value on instead of refusing it. */
  unchecked: {
    files: requestFiles,
    mutate: (node, { text }) => {
      if (['requireSession', 'requireTask'].includes(calleeOf(node) ?? ''))
        return [{ at: node, after: `(${text(node.arguments[0])})` }]
      const isCheck = node.type === 'LogicalExpression' && node.operator === '??'
      return isCheck && /^(throwProblem|throwInvalidRequest)$/.test(calleeOf(node.right) ?? '')
        ? [{ at: node, after: `(${text(node.left)})` }]
        : []
    },
  },
  /** Removes a call or an assignment: a count, a check, a header. */
  done: {
    files: requestFiles,
    mutate: (node) => {
      if (node.type !== 'ExpressionStatement') return []
      const { expression } = node
      const called = expression.type === 'AwaitExpression' ? expression.argument : expression
      if (called.type === 'CallExpression')
        return /^(info|warn|error|throwProblem|throwInvalidRequest|throwInvalidBody|throwMalformed|push|sort|set|super|Set)$/.test(
          calleeOf(called) ?? 'super',
        )
          ? []
          : [{ at: node, after: ';' }]
      const isSet =
        called.type === 'AssignmentExpression' && called.left.type === 'MemberExpression'
      const isOwn =
        called.left?.object?.type === 'ThisExpression' || called.left?.property?.name === 'status'
      return isSet && !isOwn ? [{ at: node, after: ';' }] : []
    },
  },
  /** Moves a limit of a schema by one. */
  bound: {
    files: schemaFiles,
    mutate: (node) => {
      if (node.type !== 'Property') return []
      const name = node.key.name
      const value = node.value?.value
      if (typeof value === 'number') {
        if (/^(max|maximum|maxItems|maxLength|maxProperties)$/.test(name))
          return [{ at: node.value, after: String(value + 1) }]
        if (/^(min|minimum|minItems|minLength|minProperties)$/.test(name))
          return [{ at: node.value, after: String(value - 1) }]
      }
      if (name === 'uniqueItems' && value === true) return [{ at: node.value, after: 'false' }]
      if (name === 'blank' && value === false) return [{ at: node.value, after: 'undefined' }]
      return name === 'pattern' ? [{ at: node.value, after: "''" }] : []
    },
  },
  /** Lets an object have unknown members. */
  closed: {
    files: schemaFiles,
    mutate: (node) => {
      if (node.type === 'SpreadElement' && node.argument.name === 'closed')
        return [{ at: node, after: 'additionalProperties: true' }]
      return calleeOf(node) === 'Object' && node.arguments[1]?.name === 'closed'
        ? [{ at: node.arguments[1], after: '{ additionalProperties: true }' }]
        : []
    },
  },
  /** Moves a named limit by one. */
  limit: {
    files: requestFiles,
    mutate: (node) => {
      const value = node.type === 'VariableDeclarator' ? node.init?.value : undefined
      if (typeof value !== 'number' || !/(Max|Min|Bytes|Seconds)$/.test(node.id.name)) return []
      return [{ at: node.init, after: String(/Min$/.test(node.id.name) ? value - 1 : value + 1) }]
    },
  },
  /** Removes a header of all responses, or of CORS responses. */
  header: {
    files: /^src\/http\/(response-headers|cors)\.ts$/,
    mutate: (node) =>
      node.type === 'Property' && /-/.test(node.key.value ?? '')
        ? [{ at: node, after: '...{}' }]
        : [],
  },
  /** Loosens a pattern: without an anchor, or with one more character. */
  pattern: {
    files: requestFiles,
    mutate: (node, { text }) => {
      if (node.type !== 'Literal' || node.regex === undefined) return []
      const source = text(node)
      const looser = [
        source.replace(/^\/\^/, '/'),
        source.replace(/\$(\/\w*)$/, '$1'),
        ...[...source.matchAll(/\{(\d+,)?(\d+)\}/g)].map(
          ({ 0: all, 1: from = '', 2: to = '', index }) =>
            `${source.slice(0, index)}{${from || `${to},`}${Number(to) + 1}}${source.slice(index + all.length)}`,
        ),
      ]
      return [...new Set(looser)]
        .filter((one) => one !== source)
        .map((after) => ({ at: node, after }))
    },
  },
  /** Moves the default or a limit of a setting by one. */
  setting: {
    files: /^src\/config\/config\.ts$/,
    mutate: (node) => {
      if (calleeOf(node) !== 'integer') return []
      const [, preset, range] = node.arguments
      const [from, to] = range?.elements ?? []
      return [
        ...(typeof preset?.value === 'number'
          ? [{ at: preset, after: `${preset.value + 1}` }]
          : []),
        ...(typeof from?.value === 'number' && from.value > 0
          ? [{ at: from, after: `${from.value - 1}` }]
          : []),
        ...(typeof to?.value === 'number' ? [{ at: to, after: `${to.value + 1}` }] : []),
      ]
    },
  },
} satisfies Record<string, { files: RegExp; mutate: Mutate }>

/** Every mutant of the sources under `root`, sorted by file and position. */
export const deriveMutants = async (root: string): Promise<Mutant[]> => {
  const files = [...new Glob('src/**/*.ts').scanSync(root)].filter(
    (file) => !file.endsWith('.d.ts'),
  )
  const found: Mutant[] = []
  for (const file of files.sort()) {
    const source = await Bun.file(`${root}/${file}`).text()
    const text = ({ start, end }: Node) => source.slice(start, end)
    const fitting = Object.entries(mutators).filter(([, { files }]) => files.test(file))
    visit(parseSync(file, source).program, (node) => {
      for (const [kind, { mutate }] of fitting as [keyof typeof mutators, { mutate: Mutate }][])
        for (const { at, after, importing } of mutate(node, { file, text })) {
          const { start, end } = at as { start: number; end: number }
          const line = source.slice(0, start).split('\n').length
          const mutant = { kind, file, line, start, end, before: source.slice(start, end), after }
          found.push(importing === undefined ? mutant : { ...mutant, importing })
        }
    })
  }
  return found.sort((a, b) => (a.file === b.file ? a.start - b.start : a.file < b.file ? -1 : 1))
}

const calleeOf = (node: Node): string | undefined =>
  node?.type === 'CallExpression' ? (node.callee.property?.name ?? node.callee.name) : undefined

const isPresent = (node: Node): boolean => node.name !== 'undefined'

/** Whether a branch ends the function with a problem, an error, or a negative result. */
const endsInRefusal = (branch: Node): boolean => {
  const last = branch.type === 'BlockStatement' ? branch.body.at(-1) : branch
  if (last?.type === 'ThrowStatement') return true
  const ended = last?.type === 'ReturnStatement' ? last.argument : last?.expression
  if (
    /^(throwProblem|throwInvalidRequest|throwInvalidBody|throwMalformed)$/.test(
      calleeOf(ended) ?? '',
    )
  )
    return true
  if (last?.type !== 'ReturnStatement') return false
  const isNo = ended?.name === 'undefined' || ended?.value === false || ended?.value === null
  return isNo || ended?.type === 'TemplateLiteral' || typeof ended?.value === 'string'
}

const visit = (node: Node, handle: (node: Node) => void): void => {
  if (Array.isArray(node)) for (const one of node) visit(one, handle)
  else if (node !== null && typeof node === 'object') {
    // Types have no effect at run time.
    if (/^TS(?!As|NonNull|Satisfies)/.test(node.type ?? '')) return
    if (typeof node.type === 'string') handle(node)
    for (const child of Object.values(node)) visit(child, handle)
  }
}
