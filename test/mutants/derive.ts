import { Glob } from 'bun'
import { parseSync } from 'oxc-parser'

/** One change to one file that takes a protection away, or weakens it. */
export type Mutant = {
  kind: Kind
  file: string
  line: number
  start: number
  end: number
  /** What stands there, and what will. */
  before: string
  after: string
  /** What has to stand at the top of the file for it. */
  importing?: string
}

type Kind = keyof typeof kinds | 'by hand'

// biome-ignore lint/suspicious/noExplicitAny: a tree as the parser gives it
type Node = any
/** A node's mutants: the node that goes, and what comes in its place. */
type Change = { at: Node; after: string; importing?: string }
type Look = (node: Node, context: { file: string; text: (node: Node) => string }) => Change[]

/** Statements, but for the indexes of the schema, which change what a statement costs. */
const querying = /^src\/(auth|tasks|db)\/(?!schema)/
/** All sources that decide about a request: not those that describe, start, connect, measure or log. */
const judging =
  /^src\/(?!main|build|asset|lazy|log|config\/|db\/|cli\/|http\/(openapi\/|pages\/|access-log|server|validation-errors|problem-catalogue)|tasks\/(transfer\/formats|examples|transfer\/export)|health|rate-limit\/keyed-queue)/
/** The same, but for what looks at rows and puts answers together. */
const deciding = new RegExp(`${judging.source}(?!.*(repository|routes|changes).ts$)`)
const schemas = /(schema|types|jwt)\.ts$/

/** The ways of weakening: which files each is for, and what it makes of a node. */
const kinds = {
  /** A part of a WHERE: ownership, session, version, place in a list. */
  condition: {
    files: querying,
    look: (node) => {
      const name = calleeOf(node)
      if (name === 'and')
        return node.arguments.filter(isThere).map((at: Node) => ({ at, after: 'undefined' }))
      if (name !== 'where') return []
      return node.arguments
        .filter((at: Node) => isThere(at) && calleeOf(at) !== 'and')
        .map((at: Node) => ({ at, after: 'undefined' }))
    },
  },
  /** What a join holds together. */
  join: {
    files: querying,
    look: (node) =>
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
  /** Whether there is a session, an expired key, an earlier answer: `exists` in SQL of our own. */
  exists: {
    files: querying,
    look: (node) => {
      if (node.type !== 'TaggedTemplateExpression' || node.tag.name !== 'sql') return []
      return node.quasi.quasis.flatMap((quasi: Node, at: number) => {
        const [found] = /(not )?exists \(select from $/.exec(quasi.value.raw) ?? []
        const of = node.quasi.expressions[at]
        if (found === undefined || of === undefined) return []
        // With `${` before what it is of, and `})` behind.
        return [{ at: { start: of.start - 2 - found.length, end: of.end + 2 }, after: 'true' }]
      })
    },
  },
  /** A refusal, or a way out, that is never taken. */
  refusal: {
    files: judging,
    look: (node) =>
      node.type === 'IfStatement' && node.alternate === null && leaves(node.consequent)
        ? [{ at: node.test, after: 'false' }]
        : [],
  },
  /** One of several reasons. */
  reason: {
    files: deciding,
    look: (node) => {
      if (node.type !== 'LogicalExpression' || node.operator === '??') return []
      const after = String(node.operator === '&&')
      const parts = [node.left, node.right]
      return parts
        .filter((at: Node) => at.type !== 'LogicalExpression' || at.operator !== node.operator)
        .map((at: Node) => ({ at, after }))
    },
  },
  /** What is passed on as it is, though it may be nothing. */
  unchecked: {
    files: judging,
    look: (node, { text }) => {
      if (['requireSession', 'requireTask'].includes(calleeOf(node) ?? ''))
        return [{ at: node, after: `(${text(node.arguments[0])})` }]
      const isCheck = node.type === 'LogicalExpression' && node.operator === '??'
      return isCheck && /^(throwProblem|throwInvalidRequest)$/.test(calleeOf(node.right) ?? '')
        ? [{ at: node, after: `(${text(node.left)})` }]
        : []
    },
  },
  /** Something that is done: a count taken or given back, a check, a header. */
  done: {
    files: judging,
    look: (node) => {
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
  /** A limit of a shape, by one. */
  bound: {
    files: schemas,
    look: (node) => {
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
  /** An object that takes members it does not know. */
  closed: {
    files: schemas,
    look: (node) => {
      if (node.type === 'SpreadElement' && node.argument.name === 'closed')
        return [{ at: node, after: 'additionalProperties: true' }]
      return calleeOf(node) === 'Object' && node.arguments[1]?.name === 'closed'
        ? [{ at: node.arguments[1], after: '{ additionalProperties: true }' }]
        : []
    },
  },
  /** A number with a name, by one. */
  limit: {
    files: judging,
    look: (node) => {
      const value = node.type === 'VariableDeclarator' ? node.init?.value : undefined
      if (typeof value !== 'number' || !/(Max|Min|Bytes|Seconds)$/.test(node.id.name)) return []
      return [{ at: node.init, after: String(/Min$/.test(node.id.name) ? value - 1 : value + 1) }]
    },
  },
  /** A header of every answer, or of those that another origin may read. */
  header: {
    files: /^src\/http\/(security-headers|cors)\.ts$/,
    look: (node) =>
      node.type === 'Property' && /-/.test(node.key.value ?? '')
        ? [{ at: node, after: '...{}' }]
        : [],
  },
  /** A pattern that holds of a part of the text, or of one character more. */
  pattern: {
    files: judging,
    look: (node, { text }) => {
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
  /** A setting's default, and the range it is refused outside of, by one. */
  setting: {
    files: /^src\/config\/config\.ts$/,
    look: (node) => {
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
} satisfies Record<string, { files: RegExp; look: Look }>

/** Every mutant of the sources under `root`, in the order of files and places. */
export const derived = async (root: string): Promise<Mutant[]> => {
  const files = [...new Glob('src/**/*.ts').scanSync(root)].filter(
    (file) => !file.endsWith('.d.ts'),
  )
  const found: Mutant[] = []
  for (const file of files.sort()) {
    const source = await Bun.file(`${root}/${file}`).text()
    const text = ({ start, end }: Node) => source.slice(start, end)
    const looks = Object.entries(kinds).filter(([, { files }]) => files.test(file))
    each(parseSync(file, source).program, (node) => {
      for (const [kind, { look }] of looks as [keyof typeof kinds, { look: Look }][])
        for (const { at, after, importing } of look(node, { file, text })) {
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

const isThere = (node: Node): boolean => node.name !== 'undefined'

/** Whether a branch ends what is going on: by a refusal, an error, or an answer that is no. */
const leaves = (branch: Node): boolean => {
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

const each = (node: Node, does: (node: Node) => void): void => {
  if (Array.isArray(node)) for (const one of node) each(one, does)
  else if (node !== null && typeof node === 'object') {
    // Types change nothing that runs.
    if (/^TS(?!As|NonNull|Satisfies)/.test(node.type ?? '')) return
    if (typeof node.type === 'string') does(node)
    for (const child of Object.values(node)) each(child, does)
  }
}
