import { loadModule, parseSync } from 'libpg-query'

await loadModule()

// biome-ignore lint/suspicious/noExplicitAny: a syntax tree of PostgreSQL's parser with 200 kinds of node
type Node = any

/**
 * The names of the locking CTEs (`select … for update`) of a statement that nothing refers to. PostgreSQL executes a
 * CTE that only reads if the statement refers to it, so these lock nothing.
 */
export const unusedLocksIn = (statement: string): string[] => {
  const locks = new Set<string>()
  const references = new Set<string>()
  const visit = (node: Node): void => {
    if (node === null || typeof node !== 'object') return
    const { CommonTableExpr: cte, RangeVar: range } = node
    if (cte?.ctequery?.SelectStmt?.lockingClause !== undefined) locks.add(cte.ctename)
    if (range !== undefined) references.add(range.relname)
    for (const part of Object.values(node)) visit(part)
  }
  visit(parseSync(statement))
  return [...locks].filter((name) => !references.has(name))
}
