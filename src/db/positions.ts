import { type SQL, sql } from 'drizzle-orm'

/*
 * Positions: text of decimal digits that sorts bytewise, and is read as the fraction 0.digits (fractional indexing).
 *
 * A position is made from the number of the change that sets it (`user_changes`), so that no two positions of a user are
 * equal, whatever two statements saw of each other. docs/decisions/0030 has the reasons.
 */

/** The middle of the first ten digits. Positions at the end count up from here, positions at the start count down. */
const middle = 5_000_000_000

/** After all positions that exist. */
export const positionAtEnd = (change: SQL): SQL => sql`(${sql.raw(`${middle}`)} + ${change})::text`

/** The same for one of several rows of a statement; `ord` counts from 1. */
export const positionAtEndOf = (change: SQL, ord: SQL): SQL =>
  sql`(${positionAtEnd(change)} || lpad((${ord})::text, 6, '0') || '1')`

/** Before all positions that exist. */
export const positionAtStart = (change: SQL): SQL =>
  sql`(${sql.raw(`${middle}`)} - ${change})::text`

/** The same for one of several rows; `ord` counts from 1. */
export const positionAtStartOf = (change: SQL, ord: SQL): SQL =>
  sql`(${positionAtStart(change)} || lpad((${ord})::text, 6, '0') || '1')`

/** Positions between two others have at most this many digits before those of the change. */
const digitsMax = 60

/**
 * Between two positions, with as few digits as possible; null if that takes more than 60, after more than a hundred
 * moves into one gap. Then the rows of the list are numbered again.
 */
export const positionBetween = (before: SQL, after: SQL, change: SQL): SQL => sql`(
  select candidate.digits from (
    select length, rpad(substr(trunc(
        ('0.' || ${before})::numeric * 0.5 + ('0.' || ${after})::numeric * 0.5, length)::text, 3), length, '0')
      || lpad((${change})::text, 10, '0') as digits
    from generate_series(1, ${sql.raw(`${digitsMax}`)}) as length) as candidate
  where candidate.digits collate "C" > ${before} and candidate.digits collate "C" < ${after}
  order by candidate.length limit 1)`

/**
 * The position of a task from before positions: after `middle` and before the first change, in the order of creation, which
 * is that of UUIDv7. It is calculated, so that the migration does not rewrite the table.
 */
export const originalPositionSql = (id: SQL): SQL => {
  const hex = sql`replace(${id}::text, '-', '')`
  const number = (from: number, digits: number, width: number) =>
    sql`lpad((('x' || substr(${hex}, ${sql.raw(`${from}`)}, ${sql.raw(`${digits}`)}))::bit(${sql.raw(
      `${digits * 4}`,
    )})::bigint)::text, ${sql.raw(`${width}`)}, '0')`
  return sql`('${sql.raw(`${middle}`)}' || ${number(1, 12, 15)} || ${number(14, 3, 4)} || ${number(18, 15, 19)})`
}

/** The same for an id, without the database. */
export const originalPosition = (id: string): string => {
  const hex = id.replaceAll('-', '')
  const number = (from: number, digits: number, width: number) =>
    BigInt(`0x${hex.slice(from - 1, from - 1 + digits)}`)
      .toString()
      .padStart(width, '0')
  return `${middle}${number(1, 12, 15)}${number(14, 3, 4)}${number(18, 15, 19)}`
}
