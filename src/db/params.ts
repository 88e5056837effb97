import { type SQL, sql } from 'drizzle-orm'

/** A typed parameter of a prepared statement, where PostgreSQL cannot infer the type. */
export const param = (name: string, type: string): SQL =>
  sql`${sql.placeholder(name)}::${sql.raw(type)}`

/** The time of the request, bound by `scopeParameters`. */
export const nowParam = param('now', 'timestamptz')

/** A PostgreSQL array literal, which both drivers send unchanged. */
export const arrayLiteral = (items: readonly (string | number)[]): string =>
  `{${items.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** The versions that a conditional write accepts (`If-Match`); undefined for any version. */
export type ExpectedVersions = readonly number[] | undefined
