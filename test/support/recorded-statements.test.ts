import { expect, test } from 'bun:test'
import { unusedLocksIn } from './recorded-statements/locks.ts'
import { mentionsIn } from './recorded-statements/mentions.ts'

/** The parameters that the owners of all accesses equal, in order; null without one. */
const ownersIn = (statement: string) =>
  mentionsIn(statement).map(({ owner }) => (owner ? [...owner].sort() : null))

test.each<[why: string, statement: string, owners: (number[] | null)[]]>([
  ['a condition', 'select * from tasks where user_id = $1', [[1]]],
  ['a condition the other way round', 'select * from tasks where $1 = user_id', [[1]]],
  ['a condition with a type', 'select * from tasks where user_id = $1::uuid', [[1]]],
  ['an alias', 'select * from tasks t where t.user_id = $2 and id = $1', [[2]]],
  [
    'one of several',
    'select * from tasks where id = $1 and (user_id = $2 and version = $3)',
    [[2]],
  ],
  ['nothing', 'select * from tasks', [null]],
  ['another column', 'select * from tasks where id = $1', [null]],
  ['one of either', 'select * from tasks where user_id = $1 or id = $2', [null]],
  ['what is not so', 'select * from tasks where not user_id = $1', [null]],
  ['another comparison', 'select * from tasks where user_id >= $1', [null]],
  ['a constant', `select * from tasks where user_id = 'x'`, [null]],
  ['a list', 'select * from tasks where user_id in ($1)', [null]],
  ['an unbound table', 'select * from tasks, sessions where sessions.user_id = $1', [null, [1]]],
  ['itself', 'select * from tasks where user_id = user_id', [null]],
  ['an account', 'select * from users where id = $1', [[1]]],
  ['an account by its e-mail', 'select * from users where email = $1', [null]],
])('%s binds as it should', (_, statement, owners) => {
  expect(ownersIn(statement)).toEqual(owners)
})

test.each<[why: string, statement: string, owners: (number[] | null)[]]>([
  [
    'joined to a bound table',
    'select * from tasks t join sessions s on t.user_id = s.user_id where s.user_id = $1',
    [[1], [1]],
  ],
  [
    'joined to an unbound table',
    'select * from tasks t join sessions s on t.user_id = s.user_id',
    [null, null],
  ],
  [
    'left of an outer join',
    'select * from tasks t left join sessions s on t.user_id = $1 and s.user_id = $1',
    [null, [1]],
  ],
  [
    'right of an outer join',
    'select * from tasks t right join sessions s on t.user_id = $1 and s.user_id = $1',
    [[1], null],
  ],
  [
    'of a full join',
    'select * from tasks t full join sessions s on t.user_id = $1 and s.user_id = $1',
    [null, null],
  ],
  [
    'a bound CTE',
    'with s as (select user_id from sessions where user_id = $1) select * from s join tasks on tasks.user_id = s.user_id',
    [[1], [1]],
  ],
  [
    'an unbound CTE',
    'with s as (select user_id from sessions) select * from s join tasks on tasks.user_id = s.user_id',
    [null, null],
  ],
  [
    'a CTE under another name',
    'with s as (select user_id as id from sessions where user_id = $1) select * from s join tasks on tasks.user_id = s.id',
    [[1], [1]],
  ],
  [
    'a CTE named as a table',
    'with tasks as (select user_id from sessions where user_id = $1) select * from tasks',
    [[1]],
  ],
  [
    'lateral',
    'select * from sessions s left join lateral (select * from tasks t where t.user_id = s.user_id) x on true where s.user_id = $1',
    [[1], [1]],
  ],
  [
    'within an expression',
    'select (select count(*) from tasks) from sessions where user_id = $1',
    [null, [1]],
  ],
  [
    'within a condition',
    'select * from sessions s where s.user_id = $1 and exists (select from tasks t where t.user_id = s.user_id)',
    [[1], [1]],
  ],
  [
    'a condition on a table around it',
    'select * from sessions s where exists (select from tasks t where s.user_id = $1 and t.user_id = $1)',
    [[1], null],
  ],
  [
    'either of two bound ones',
    'with x as (select user_id from tasks where user_id = $1 union all select user_id from sessions where user_id = $2) select * from x join user_changes u on u.user_id = x.user_id',
    [[1], [2], [1, 2]],
  ],
  [
    'either of two, one of them unbound',
    'with x as (select user_id from tasks where user_id = $1 union all select user_id from sessions) select * from x join user_changes u on u.user_id = x.user_id',
    [[1], null, null],
  ],
])('%s binds as it should', (_, statement, owners) => {
  const inOrder = (one: (number[] | null)[]) => one.map((owner) => JSON.stringify(owner)).sort()
  expect(inOrder(ownersIn(statement))).toEqual(inOrder(owners))
})

test.each<[why: string, statement: string, owners: (number[] | null)[]]>([
  ['an update', 'update tasks set title = $1 where user_id = $2', [[2]]],
  ['an update of all', 'update tasks set title = $1', [null]],
  ['a gift to another user', 'update tasks set user_id = $1 where user_id = $2', [null]],
  [
    'an update from a bound CTE',
    'with c as (update user_changes set last = 1 where user_id = $1 returning user_id) update tasks set title = $2 from c where tasks.user_id = c.user_id',
    [[1], [1]],
  ],
  ['a deletion', 'delete from tasks where user_id = $1', [[1]]],
  [
    'a deletion of what another finds',
    'delete from tasks using sessions s where tasks.id = s.id and s.user_id = $1',
    [[1], null],
  ],
  ['values', 'insert into user_changes (last, user_id) values ($1, $2)', [[2]]],
  ['values for two users', 'insert into user_changes (user_id) values ($1), ($2)', [[1, 2]]],
  [
    'values of which one is a constant',
    `insert into user_changes (user_id) values ($1), (default)`,
    [null],
  ],
  [
    'a new row from a bound CTE',
    'with c as (select user_id from user_changes where user_id = $1) insert into user_changes (user_id, last) select c.user_id, 0 from c',
    [[1], [1]],
  ],
  [
    'a new row in the order of the table',
    'with c as (select user_id from user_changes where user_id = $1) insert into user_changes select c.user_id, 0 from c',
    [[1], [1]],
  ],
  [
    'a new row from an unbound table',
    'insert into user_changes (user_id, last) select user_id, 0 from sessions',
    [null, null],
  ],
  [
    'a new row whose owner is another column',
    'insert into user_changes (last, user_id) select $1, 0',
    [null],
  ],
])('%s binds as it should', (_, statement, owners) => {
  const inOrder = (one: (number[] | null)[]) => one.map((owner) => JSON.stringify(owner)).sort()
  expect(inOrder(ownersIn(statement))).toEqual(inOrder(owners))
})

test.each([
  'select 1 from pg_class',
  'select 1 from other.tasks where user_id = $1',
  'truncate tasks',
  'merge into tasks using sessions s on true when matched then delete',
  'with recursive r as (select user_id from tasks) select * from r',
  'select * from tasks join sessions using (user_id)',
])('%s is not waved through', (statement) => {
  expect(() => mentionsIn(statement)).toThrow(/^not (understood|a table of the schema)/)
})

test('a locking CTE that nothing refers to is reported', () => {
  const lock = 'with l as (select from user_changes where user_id = $1 for update)'
  const remove = 'delete from sessions where user_id = $1'

  expect(unusedLocksIn(`${lock} ${remove}`)).toEqual(['l'])
  expect(unusedLocksIn(`${lock} ${remove} and exists (select from l)`)).toEqual([])
  expect(unusedLocksIn(`with l as (select from sessions) ${remove}`)).toEqual([])
})
