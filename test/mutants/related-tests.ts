const auth =
  'auth/accounts auth/access-tokens auth/personal-tokens auth/login-throttle auth/changed-accounts'
const tasks = 'tasks/task tasks/batch tasks/transfer tasks/listing tasks/trash tasks/changes'
const http = 'http/route-guard http/error-handler http/rate-limit http/body-parser'

/**
 * The test files that most likely detect a change in a file, the likeliest first. Whatever they do not detect meets the
 * whole suite afterwards.
 */
const related: [file: RegExp, tests: string][] = [
  [/^src\/config\//, 'config/config docs/readme'],
  [
    /auth\/(issuers|authenticator)/,
    `auth/trusted-issuers auth/changed-accounts cli/commands ${auth}`,
  ],
  [
    /src\/lists|tasks\/move|db\/(moves|positions)/,
    'lists/lists tasks/move lists/changes isolation http/limits-of-input',
  ],
  [/src\/webhooks\/.*schema/, 'webhooks/webhooks http/limits-of-input isolation'],
  [/src\/webhooks/, 'webhooks/deliveries webhooks/webhooks webhooks/destination isolation'],
  [
    /src\/events|auth\/stream-tickets/,
    'events/stream events/shared-feed lists/changes isolation http/limits-of-input',
  ],
  [/src\/notifications/, 'notifications/notifications notifications/channels events/stream'],
  [
    /tasks\/reminders|mail\/reminders|templates\/reminders|transfer\/reminders|calendar-alarms/,
    'tasks/reminders tasks/reminder-job tasks/calendar-export tasks/imports isolation',
  ],
  [/tasks\/changes/, 'tasks/changes tasks/reminders lists/changes events/stream isolation'],
  [/listing\/days|tasks\/counts/, 'tasks/days tasks/listing isolation'],
  [
    /transfer\/(programs|dropped|turns|formats\/(read-icalendar|calendar-components))/,
    'tasks/imports tasks/transfer',
  ],
  [/transfer\/import-/, 'tasks/import-update tasks/transfer lists/transfer'],
  [/transfer\/(lists|json-file)/, 'lists/transfer tasks/transfer isolation'],
  [/tasks\/calendar|calendar-feeds|http\/origin/, 'tasks/calendar isolation auth/personal-tokens'],
  [/src\/recurrence/, 'recurrence/next tasks/recurring'],
  [
    /task\/(recurring|completing|updates)|batch\/(effects|guards)/,
    'tasks/recurring tasks/task tasks/batch isolation',
  ],
  [/formats\/(vtimezone|icalendar)/, 'tasks/calendar-export tasks/transfer'],
  [/stored-conflicts/, 'tasks/recurring tasks/due-days lists/lists tasks/batch'],
  [/auth\/.*schema/, `http/limits-of-input ${auth} http/body-parser`],
  [/auth\/access-tokens/, `auth/access-tokens auth/personal-tokens http/rate-limit ${auth}`],
  [/auth\/login-throttle/, `auth/login-throttle http/rate-limit ${auth}`],
  [/accounts\/earlier-spelling/, 'auth/accounts auth/password-reset'],
  [/auth\/passwords/, `auth/accounts auth/login-throttle`],
  [/auth\/personal-tokens/, `auth/personal-tokens isolation cli/commands ${auth}`],
  [
    /src\/mail|auth\/(password-reset|email-verification|link)|verified-sign-up|accounts\/(invitation|statements)/,
    'auth/password-reset auth/email-verification mail/sender mail/transport auth/accounts cli/commands isolation',
  ],
  [
    /auth\/refresh-tokens|sessions\/activity/,
    'auth/refresh-tokens auth/refresh-cookie http/body-parser isolation',
  ],
  [/auth\/sessions/, `auth/changed-accounts isolation races cli/commands ${auth}`],
  [
    /auth\//,
    `auth/changed-accounts isolation app races cli/commands ${auth} http/rate-limit http/body-parser`,
  ],
  [/src\/metrics\//, 'metrics/metrics docs/monitoring'],
  [/src\/maintenance\//, 'maintenance/scheduler tasks/trash isolation'],
  [/src\/cli\//, 'cli/commands'],
  [/src\/app/, `isolation ${auth} ${http}`],
  [/db\/(user-scope|idempotency|params)/, `isolation races http/idempotency ${auth} tasks/changes`],
  [/http\/client-address/, 'http/client-address http/rate-limit auth/login-throttle'],
  [/http\/(route-guard|route-table)/, `${http} http/cors auth/personal-tokens auth/access-tokens`],
  [/http\/(cors|response-headers)/, 'http/cors http/route-guard auth/access-tokens'],
  [/http\/trace/, 'http/trace-context http/route-guard'],
  [/http\/(body|query|json)/, `http/body-parser ${http} tasks/transfer auth/accounts`],
  [/http\/idempotency/, 'http/idempotency tasks/transfer tasks/batch'],
  [/http\/conditional/, 'http/conditional http/idempotency'],
  [/http\/(paging|cursor)/, 'auth/access-tokens isolation tasks/listing tasks/changes tasks/trash'],
  [
    /http\//,
    `${http} metrics/metrics auth/trusted-issuers auth/access-tokens http/openapi/document`,
  ],
  [
    /src\/rate-limit\//,
    'rate-limit/store-errors rate-limit/stores rate-limit/memory http/rate-limit',
  ],
  [
    /src\/schema\//,
    `http/limits-of-input http/body-parser tasks/model-based ${tasks} auth/accounts`,
  ],
  [/tasks\/.*schema/, `http/limits-of-input http/body-parser isolation ${tasks} http/conditional`],
  [
    /tasks\/batch/,
    'tasks/batch tasks/due-days lists/lists http/idempotency db/query-plans http/conditional isolation',
  ],
  [/tasks\/changes/, 'tasks/changes isolation tasks/trash'],
  [/tasks\/transfer/, 'tasks/transfer isolation http/idempotency'],
  [/tasks\/trash/, 'tasks/trash isolation tasks/changes http/idempotency'],
  [/tasks\/listing/, 'tasks/listing tasks/days isolation'],
  [/tasks\//, `isolation http/conditional http/idempotency races ${tasks}`],
]

export const relatedTests = (file: string): string[] => {
  const [, tests = `isolation ${http}`] = related.find(([of]) => of.test(file)) ?? []
  return [...new Set(tests.split(' '))].map((name) => `test/${name}.test.ts`)
}
