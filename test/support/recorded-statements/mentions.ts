import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { loadModule, parseSync } from 'libpg-query'
import * as schema from '../../../src/db/schema.ts'

await loadModule()

/** The tables of the schema with their columns, and the column that has the owner of a row. */
const tables = new Map<string, { owner: string; columns: string[] }>(
  Object.values(schema)
    .filter((one) => is(one, PgTable))
    // The rate-limit counters have no user data, and are not sent through the recorded database.
    .filter((table) => getTableName(table) !== 'counters')
    .map((table) => {
      const columns = Object.keys(getTableColumns(table))
      const name = getTableName(table)
      const owner = name === 'users' ? 'id' : 'user_id'
      // A table without an owner must be excluded above, with the reason.
      if (!columns.includes(owner)) throw new Error(`${name} has no column for the owner`)
      return [name, { owner, columns }]
    }),
)

/** The numbers of the parameters (`$1` is 1) that an expression equals. */
type Parameters = ReadonlySet<number>

/**
 * An access of a statement to a table with users' rows. `owner`: the parameters that the owner of every accessed row
 * equals; undefined if the statement may access rows of several users.
 */
export type Mention = {
  does: 'read' | 'insert into' | 'update' | 'delete from'
  table: string
  owner: Parameters | undefined
  /** The columns in its conditions. */
  by: string[]
}

// biome-ignore lint/suspicious/noExplicitAny: a syntax tree of PostgreSQL's parser with 200 kinds of node
type Node = any
type Relation = {
  table: string | undefined
  columns: Set<string>
  bound: Map<string, Parameters>
  by: Set<string>
}
type Output = Pick<Relation, 'columns' | 'bound'>
type Scope = {
  relations: Map<string, Relation>
  ctes: Map<string, Output>
  outer: Scope | undefined
}
type Walk = { mentions: Mention[]; seen: Set<Node> }

/**
 * The accesses of a statement to users' rows, by PostgreSQL's own grammar.
 *
 * An access is bound if a condition that every row must meet compares its owner with a parameter, or with a column of a
 * relation that is bound itself (a CTE or a joined table). Conditions joined by `and` count; those of an outer join count
 * only for the nullable side. An inserted row is bound by its value. An unknown construct is an error.
 */
export const mentionsIn = (statement: string): Mention[] => {
  const walk: Walk = { mentions: [], seen: new Set() }
  const { stmts = [] } = parseSync(statement) as Node
  for (const { stmt } of stmts) {
    queryOf(stmt, undefined, walk)
    visitNodes(stmt, 'RangeVar', (range) => {
      if (!walk.seen.has(range)) throw new Error(`not understood: ${range.relname} in ${statement}`)
    })
  }
  return walk.mentions
}

const queryOf = (node: Node, outer: Scope | undefined, walk: Walk): Output => {
  const [[kind, query] = []] = Object.entries(node) as [string, Node][]
  const scope: Scope = { relations: new Map(), ctes: new Map(), outer }
  for (const { CommonTableExpr: cte } of query?.withClause?.ctes ?? []) {
    if (query.withClause.recursive) throw new Error('not understood: with recursive')
    scope.ctes.set(cte.ctename, queryOf(cte.ctequery, scope, walk))
  }
  if (kind === 'SelectStmt') return select(query, scope, walk)
  if (kind === 'InsertStmt') return insert(query, scope, walk)
  if (kind === 'UpdateStmt' || kind === 'DeleteStmt') return change(kind, query, scope, walk)
  throw new Error(`not understood: ${kind}`)
}

const select = (query: Node, scope: Scope, walk: Walk): Output => {
  if (query.op !== 'SETOP_NONE') {
    const sides = [query.larg, query.rarg].map((side) => queryOf({ SelectStmt: side }, scope, walk))
    return eitherOf(sides[0] as Output, sides[1] as Output)
  }
  from(query.fromClause ?? [], query.whereClause, scope, walk)
  const parts = [
    query.targetList,
    query.whereClause,
    query.havingClause,
    query.groupClause,
    query.sortClause,
    query.valuesLists,
    query.limitCount,
    query.limitOffset,
  ]
  sublinks(parts, scope, walk)
  for (const relation of scope.relations.values()) note('read', relation, walk)
  if (query.valuesLists) return valuesOf(query.valuesLists, scope)
  return outputOf(query.targetList ?? [], scope)
}

const insert = (query: Node, scope: Scope, walk: Walk): Output => {
  const target = relationOf(query.relation, scope, walk)
  const names = (query.cols ?? []).map(({ ResTarget }: Node) => ResTarget.name as string)
  const given = query.selectStmt && queryOf(query.selectStmt, scope, walk)
  // The inserted columns are assigned by position, and so are their bindings.
  const places = [...(given?.columns ?? [])]
  const owned = tables.get(target.table ?? '')
  const columns = names.length > 0 ? names : (owned?.columns ?? [])
  for (const [at, name] of columns.entries()) {
    const bound = given?.bound.get(places[at] ?? '')
    if (bound) target.bound.set(name, bound)
  }
  // On conflict, the existing row belongs to the same user only if the user is part of the key.
  const { action, infer, targetList } = query.onConflictClause ?? {}
  const key: string[] = (infer?.indexElems ?? []).map(({ IndexElem }: Node) => IndexElem.name)
  if (action === 'ONCONFLICT_UPDATE' && !key.includes(owned?.owner ?? ''))
    target.bound.delete(owned?.owner ?? '')
  scope.relations.set(nameOf(query.relation), target)
  sublinks([query.returningClause?.exprs, targetList], scope, walk)
  note('insert into', target, walk)
  return outputOf(query.returningClause?.exprs ?? [], scope)
}

const change = (kind: string, query: Node, scope: Scope, walk: Walk): Output => {
  const target = relationOf(query.relation, scope, walk)
  scope.relations.set(nameOf(query.relation), target)
  const others = query.fromClause ?? query.usingClause ?? []
  from(others, query.whereClause, scope, walk)
  sublinks([query.targetList, query.whereClause, query.returningClause?.exprs], scope, walk)
  const owner = tables.get(target.table ?? '')?.owner
  const sets = (query.targetList ?? []).map(({ ResTarget }: Node) => ResTarget.name)
  if (kind === 'UpdateStmt' && sets.includes(owner)) target.bound.delete(owner ?? '')
  for (const relation of scope.relations.values())
    if (relation !== target) note('read', relation, walk)
  note(kind === 'UpdateStmt' ? 'update' : 'delete from', target, walk)
  return outputOf(query.returningClause?.exprs ?? [], scope)
}

const note = (does: Mention['does'], { table, bound, by }: Relation, { mentions }: Walk) => {
  const owned = tables.get(table ?? '')
  if (table === undefined || owned === undefined) return
  mentions.push({ does, table, owner: bound.get(owned.owner), by: [...by].sort() })
}

/** Adds the relations of a FROM to the scope, with the bindings of its joins and of the WHERE. */
const from = (items: Node[], where: Node, scope: Scope, walk: Walk) => {
  const conditions: { on: Node; holdsFor: ReadonlySet<Relation> | undefined }[] = [
    { on: where, holdsFor: undefined },
  ]
  const deferred: (() => void)[] = []
  const bindAll = () => {
    let before = -1
    for (let now = 0; now !== before; ) {
      before = now
      for (const { on, holdsFor } of conditions) bind(on, holdsFor, scope)
      now = [...scope.relations.values()].reduce((sum, { bound }) => sum + sizeOf(bound), 0)
    }
  }

  const add = (item: Node): Relation[] => {
    if (item.JoinExpr) {
      const { larg, rarg, quals, jointype } = item.JoinExpr
      if (item.JoinExpr.usingClause || item.JoinExpr.isNatural)
        throw new Error('not understood: join using')
      const left = add(larg)
      const right = add(rarg)
      const sides = { JOIN_INNER: [...left, ...right], JOIN_LEFT: right, JOIN_RIGHT: left }
      const holdsFor = new Set(sides[jointype as keyof typeof sides] ?? [])
      conditions.push({ on: quals, holdsFor })
      deferred.push(() => sublinks([quals], scope, walk))
      return [...left, ...right]
    }
    if (item.RangeVar) {
      const relation = relationOf(item.RangeVar, scope, walk)
      scope.relations.set(nameOf(item.RangeVar), relation)
      return [relation]
    }
    if (item.RangeSubselect) {
      const { subquery, alias, lateral } = item.RangeSubselect
      const relation = relationFor({ columns: new Set(), bound: new Map() })
      scope.relations.set(alias.aliasname, relation)
      const fill = () => Object.assign(relation, queryOf(subquery, scope, walk))
      // A lateral subquery sees the relations before it, with their bindings.
      if (lateral) deferred.push(fill)
      else fill()
      return [relation]
    }
    if (item.RangeFunction) {
      const { alias, coldeflist = [], functions } = item.RangeFunction
      const columns = coldeflist.map(({ ColumnDef }: Node) => ColumnDef.colname as string)
      const relation = relationFor({ columns: new Set(columns), bound: new Map() })
      scope.relations.set(alias?.aliasname ?? '', relation)
      deferred.push(() => sublinks(functions, scope, walk))
      return [relation]
    }
    throw new Error(`not understood: ${Object.keys(item)} in a FROM`)
  }

  for (const item of items) add(item)
  bindAll()
  for (const fill of deferred) fill()
  bindAll()
}

const sizeOf = (bound: Relation['bound']) =>
  [...bound.values()].reduce((sum, parameters) => sum + parameters.size, 0)

/** Adds the bindings that a condition implies for the rows of its relations. */
const bind = (on: Node, holdsFor: ReadonlySet<Relation> | undefined, scope: Scope): void => {
  if (on === undefined) return
  if (on.BoolExpr?.boolop === 'AND_EXPR') {
    for (const part of on.BoolExpr.args) bind(part, holdsFor, scope)
    return
  }
  for (const [relation, column] of columnsIn(on, scope)) relation.by.add(column)
  const { A_Expr: equation } = on
  if (equation?.kind !== 'AEXPR_OP' || equation.name[0].String.sval !== '=') return
  const sides = [equation.lexpr, equation.rexpr]
  for (const [side, other] of [sides, sides.toReversed()]) {
    const [relation, column] = side?.ColumnRef ? (ofThisScope(side.ColumnRef, scope) ?? []) : []
    const value = parametersOf(other, scope)
    if (relation === undefined || column === undefined || value === undefined) continue
    if (holdsFor !== undefined && !holdsFor.has(relation)) continue
    relation.bound.set(column, new Set([...(relation.bound.get(column) ?? []), ...value]))
  }
}

const columnsIn = (on: Node, scope: Scope) => {
  const found: [Relation, string][] = []
  visitNodes(on, 'ColumnRef', (reference) => {
    const column = ofThisScope(reference, scope)
    if (column) found.push(column)
  })
  return found
}

const parametersOf = (expression: Node, scope: Scope): Parameters | undefined => {
  if (expression?.ParamRef) return new Set([expression.ParamRef.number])
  if (expression?.TypeCast) return parametersOf(expression.TypeCast.arg, scope)
  if (!expression?.ColumnRef) return undefined
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const [relation, column = ''] = ofThisScope(expression.ColumnRef, at) ?? []
    if (relation !== undefined) return relation.bound.get(column)
  }
  return undefined
}

/** The relation of this scope that has the column; for an unqualified name, the only one that has it. */
const ofThisScope = ({ fields }: Node, { relations }: Scope): [Relation, string] | undefined => {
  const names = fields.map((field: Node) => field.String?.sval) as (string | undefined)[]
  const column = names.at(-1)
  if (column === undefined) return undefined
  if (names.length === 2) {
    const relation = relations.get(names[0] ?? '')
    return relation && [relation, column]
  }
  const having = [...relations.values()].filter(({ columns }) => columns.has(column))
  const [only] = having
  return having.length === 1 && only !== undefined ? [only, column] : undefined
}

const outputOf = (targets: Node[], scope: Scope): Output => {
  const columns = new Set<string>()
  const bound = new Map<string, Parameters>()
  for (const { ResTarget: target } of targets) {
    const fields: Node[] = target.val?.ColumnRef?.fields ?? []
    if (fields.at(-1)?.A_Star) {
      const all = [...scope.relations].filter(
        ([name]) => fields.length === 1 || fields[0].String.sval === name,
      )
      for (const [, relation] of all) {
        for (const column of relation.columns) columns.add(column)
        for (const [column, value] of relation.bound) bound.set(column, value)
      }
      continue
    }
    // Two columns with the same name keep their positions for an insert. Neither can be referred to.
    let name: string = target.name ?? fields.at(-1)?.String?.sval ?? '?'
    while (columns.has(name)) name += '?'
    columns.add(name)
    const value = parametersOf(target.val, scope)
    if (value) bound.set(name, value)
  }
  return { columns, bound }
}

const valuesOf = (rows: Node[], scope: Scope): Output => {
  const outputs = rows.map(({ List: { items } }) =>
    outputOf(
      items.map((val: Node) => ({ ResTarget: { name: 'column', val } })),
      scope,
    ),
  )
  return outputs.reduce(eitherOf)
}

/** The bindings that hold for the rows of both sides of a set operation. */
const eitherOf = (one: Output, other: Output): Output => {
  const places = [...other.columns]
  const bound = new Map<string, Parameters>()
  for (const [at, name] of [...one.columns].entries()) {
    const both = [one.bound.get(name), other.bound.get(places[at] ?? '')]
    if (both[0] && both[1]) bound.set(name, new Set([...both[0], ...both[1]]))
  }
  return { columns: one.columns, bound }
}

const relationFor = ({ columns, bound }: Output, table?: string): Relation => ({
  table,
  columns,
  bound: new Map(bound),
  by: new Set(),
})

const relationOf = (range: Node, scope: Scope, { seen }: Walk): Relation => {
  seen.add(range)
  if (range.schemaname)
    throw new Error(`not a table of the schema: ${range.schemaname}.${range.relname}`)
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const cte = at.ctes.get(range.relname)
    if (cte) return relationFor(cte)
  }
  const columns = tables.get(range.relname)?.columns
  if (columns === undefined) throw new Error(`not a table of the schema: ${range.relname}`)
  return relationFor({ columns: new Set(columns), bound: new Map() }, range.relname)
}

const nameOf = (range: Node): string => range.alias?.aliasname ?? range.relname

/** Analyses the subqueries in expressions; they see the relations of the outer scopes. */
const sublinks = (node: Node, scope: Scope, walk: Walk): void => {
  if (Array.isArray(node)) for (const one of node) sublinks(one, scope, walk)
  else if (node !== null && typeof node === 'object')
    for (const [kind, child] of Object.entries(node)) {
      if (kind === 'SubLink') {
        queryOf((child as Node).subselect, scope, walk)
        sublinks((child as Node).testexpr, scope, walk)
      } else sublinks(child, scope, walk)
    }
}

/** Visits every node of a kind, at any depth, and the target relation, for which the grammar omits the kind. */
const visitNodes = (node: Node, kind: string, handle: (node: Node) => void): void => {
  if (Array.isArray(node)) for (const one of node) visitNodes(one, kind, handle)
  else if (node !== null && typeof node === 'object')
    for (const [name, child] of Object.entries(node)) {
      // `for update of` names relations of the FROM.
      if (name === 'lockedRels') continue
      if (name === kind || (kind === 'RangeVar' && name === 'relation')) handle(child)
      visitNodes(child, kind, handle)
    }
}
