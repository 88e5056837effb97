// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of source files, not templates

/** `text` occurs in the file exactly once. */
type HandWritten = { file: string; text: string; after: string }

const inFile = (file: string, changes: [text: string, after: string][]): HandWritten[] =>
  changes.map(([text, after]) => ({ file, text, after }))

/** Mutants that no mutator derives. */
export const handWritten = [
  // The claims of a token.
  ...inFile('src/auth/access-tokens/jwt.ts', [
    ['    issuer,\n    audience,\n    typ,', '    audience,\n    typ,'],
    ['    audience,\n    typ,', '    typ,'],
    ["    algorithms: ['HS256'],\n", ''],
    ['    typ,\n    required', '    required'],
    ["    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],\n", ''],
    ['scope === undefined ? ttlSeconds : personalSecondsMax', 'personalSecondsMax'],
  ]),
  ...inFile('src/app.ts', [
    ['(principal: Principal) => sessions(principal).isLive()', 'async (_: Principal) => true'],
  ]),
  ...inFile('src/auth/sign-in/repository.ts', [['Math.min(ttlSeconds, secondsMax)', 'ttlSeconds']]),
  ...inFile('src/auth/sessions/repository.ts', [
    [
      'least(${expiresAt}::timestamptz, ${limit})',
      '${expiresAt}::timestamptz + (${limit} - ${limit})',
    ],
  ]),
  // Claims of two instances.
  ...inFile('src/mail/outbox.ts', [['eq(next_attempt_at, due.next_attempt_at)', 'undefined']]),
  ...inFile('src/webhooks/queue.ts', [
    ['        sql`${lease} is not distinct from ${due.lease}`,\n', ''],
  ]),
  ...inFile('src/db/user-scope.ts', [['sql`exists (select from ${nextChange})`', 'TRUE']]),
  // Calendar feeds.
  ...inFile('src/tasks/calendar/routes.ts', [
    ['known === first.change ? await read({ rows: exportRows }) : first', 'first'],
    ['-${now().slice(0, 4)}"', '"'],
  ]),
  // Recurrence.
  ...inFile('src/tasks/task/recurring.ts', [
    ['    and not exists (select from ${tasks} where ${isSuccessor})`', '`'],
    ['${tasks.version} = 1 and ${tasks.deleted_at} is null', '${tasks.deleted_at} is null'],
    ['completed && !was_completed && recurrence', 'completed && recurrence'],
  ]),
  ...inFile('src/tasks/task/completing.ts', [
    ['target(id, [version])', 'target(id, expected)'],
    ['if (!row?.current || row.task || row.earlierResponse)', 'if (row)'],
  ]),
  ...inFile('src/tasks/task/updates.ts', [
    [
      'updateTask(db, current, set, and(isFirstUse, isNotRecurring(set)))',
      'updateTask(db, current, set, isFirstUse)',
    ],
  ]),
  ...inFile('src/tasks/batch/repository.ts', [['        version: task.version,\n', '']]),
  ...inFile('src/tasks/batch/effects.ts', [
    [
      'exists (select from ${changed} where ${changed.id} = ${tasks.predecessor_id} and not ${changed.completed})',
      'true',
    ],
  ]),
  ...inFile('src/tasks/task/stored-conflicts.ts', [
    ['const days = recurrence.time_zone ? [0] : [0, -1, 1]', 'const days = [0]'],
  ]),
  ...inFile('src/recurrence/next.ts', [
    ['if (rule.count !== undefined && passed >= rule.count) return null', ''],
    ['series_start !== null && series_start.due === (due_at ?? due_on)', 'series_start !== null'],
    ['today.subtract({ days: 2 })', 'today'],
  ]),
  // Reminders.
  ...inFile('src/tasks/reminders/remind-at.ts', [
    ['is not null and not ${task.completed} then', 'is not null then'],
    ['then ${tasks.remind_at} else ${otherwise} end', 'then ${otherwise} else ${otherwise} end'],
  ]),
  ...inFile('src/tasks/task/statements.ts', [
    [
      '  remind_at: remindFromNow({ reminders: tasks.reminders, completed: tasks.completed }),\n',
      '',
    ],
  ]),
  ...inFile('src/tasks/reminders/statements.ts', [
    ['  where not due.completed`', '`'],
    ['where remind_at between since and ${nowParam}', 'where remind_at <= ${nowParam}'],
    [
      "(due.due_on + time '09:00') at time zone due.time_zone",
      "(due.due_on + time '09:00') at time zone 'UTC'",
    ],
    [' and later.remind_at > ${nowParam})', ')'],
    ["      .for('update'),\n", ''],
  ]),
  ...inFile('src/tasks/changes/sources.ts', [
    ['sql`${isActive} and not ${tasks.completed}`', 'isActive'],
    ['sql`${isActive} and not ${tasks.completed}`,', 'sql`not ${tasks.completed}`,'],
    ['sql`${reminderEvents.change} > ${fresh}`', 'sql`true`'],
  ]),
  ...inFile('src/auth/accounts/statements.ts', [
    ["if (!('time_zone' in set)) return []", 'return []'],
  ]),
  // Lists, positions and days.
  ...inFile('src/lists/statements.ts', [
    ['and ${lists.slot} = candidate.slot', 'and ${lists.slot} > candidate.slot'],
    ['    list_id: sql`null`,\n        deleted_at', '    deleted_at'],
    ['coalesce(${tasks.deleted_at}, ${nowParam}) else', '${tasks.deleted_at} else'],
  ]),
  ...inFile('src/lists/name.ts', [
    [".normalize('NFC')", ''],
    ['.toUpperCase().toLowerCase()', '.toLowerCase()'],
  ]),
  ...inFile('src/db/positions.ts', [
    [
      "(${positionAtEnd(change)} || lpad((${ord})::text, 6, '0') || '1')",
      "(${positionAtEnd(change)} || (${ord})::text || '1')",
    ],
    ['+ ${change})::text`', '- ${change})::text`'],
  ]),
  ...inFile('src/db/moves.ts', [
    ['${isInOrder} and ${id} <> ${targetId} and ${isCrowded}', '${isInOrder} and ${isCrowded}'],
    ['and ${isCrowded}', ''],
    ['case when ${isAfter} then 2 else 0 end', '1'],
  ]),
  ...inFile('src/tasks/move/repository.ts', [
    [
      'where(and(checked.is_expected, checked.has_list, checked.has_anchor))',
      'where(checked.is_expected)',
    ],
    [
      'where ${anchor.list_id} is not distinct from ${listId}',
      'where ${anchor.list_id} is null or true',
    ],
  ]),
  ...inFile('src/tasks/listing/days.ts', [
    ['at time zone ${zone})::date`', "at time zone 'UTC')::date`"],
    ['::timestamp at time zone ${zone})`', "::timestamp at time zone 'UTC')`"],
    ['const zoneSeconds = 15 * 3600', 'const zoneSeconds = 0'],
    ['(not ${tasks.completed} and coalesce', '(coalesce'],
  ]),
  ...inFile('src/tasks/batch/guards.ts', [
    [" or ${isContradiction(current, recordsetColumn('operations'), member('sets'))}", ''],
    ['sql`not exists (select from ${missingList})`', 'TRUE'],
  ]),
  ...inFile('src/tasks/transfer/lists.ts', [
    [
      '(select has_room from ${room}) and not exists (select from ${unknown}) and ${condition}',
      '${condition}',
    ],
    ['where ${isOwn} and ${lists.id} = named.id', 'where ${lists.id} = named.id'],
  ]),
  ...inFile('src/events/shared-feed.ts', [['withLists ? `${userId} lists` : userId', 'userId']]),
  // Event streams and their tickets.
  ...inFile('src/auth/stream-tickets/ticket.ts', [
    ['content === undefined || content.expires <= epochMs()', 'content === undefined'],
  ]),
  ...inFile('src/auth/stream-tickets/repository.ts', [
    [
      '.onConflictDoNothing()',
      '.onConflictDoUpdate({ target: [usedStreamTickets.user_id, usedStreamTickets.id], set: { expires_at: expiresAt } })',
    ],
  ]),
  ...inFile('src/http/route-guard.ts', [
    ['context.acceptsTicket && !context.tokenSent', '!context.tokenSent'],
    ['if (context.hasCalendarSecret) return verifyCalendarPath(pathOf(url))', ''],
    ["if (scope === 'calendar:read') return false", ''],
    ["scope.split(' ').includes('webhooks:write')", "scope.split(' ').includes('tasks:read')"],
  ]),
  ...inFile('src/tasks/changes/token.ts', [
    ["JSON.stringify([userId, 'changes'])", "JSON.stringify(['changes'])"],
    ['isTooOld || (lists && !position.lists)', 'isTooOld'],
    ['isTooOld || (lists && !position.lists)', 'lists && !position.lists'],
    ['fresh > number ? fresh : 0', 'fresh > number ? 0 : fresh'],
  ]),
  ...inFile('src/events/stream.ts', [
    ["if (nowMs >= this.#expiresAtMs) this.end('token-expired')\n", ''],
    ['if (!(await this.#readPage())) this.endSession()', 'await this.#readPage()'],
  ]),
  ...inFile('src/events/streams.ts', [
    ['(counts.get(userId) ?? 0) >= perUserMax', 'false'],
    [
      'onClose = (stream: EventStream) => {',
      'onClose = (stream: EventStream) => {\n    if (total > 0) return',
    ],
    ["if (stopSignal.aborted) stream.end('draining')\n", ''],
  ]),
  ...inFile('src/events/shared-feed.ts', [
    ['position.number < feed.position().number', 'false'],
    ['!live.has(follower.sessionId)', 'false'],
    ['number > joinedAt.number', 'true'],
    ['!isBefore(position, joinedAt)', 'true'],
    ['sessionIds.includes(follower.sessionId) && ', ''],
  ]),
  ...inFile('src/notifications/publish-after-writes.ts', [
    ['if (changedUserId !== undefined) notifications.publish(changedUserId)\n', ''],
  ]),
  ...inFile('src/notifications/receiver.ts', [
    ["if (isLost) return lose('closed')\n", ''],
    ['onGap()\n', ''],
  ]),
  // Webhooks.
  ...inFile('src/webhooks/addresses.ts', [
    ["address.range() === 'unicast' &&", ''],
    [' && !isCompatible', ''],
  ]),
  ...inFile('src/webhooks/destination.ts', [
    ['found.every(isPermitted)', 'found.some(isPermitted)'],
    ["url.username !== '' || url.password !== ''", 'false'],
    ["url.protocol !== 'https:' && !allowsLoopback", 'false'],
  ]),
  ...inFile('src/webhooks/send.ts', [
    ["redirect: 'manual'", "redirect: 'follow'"],
    ['bytes >= responseBytesMax', 'false'],
    ['fetch(withHost(url, address)', 'fetch(url'],
  ]),
  ...inFile('src/webhooks/queue.ts', [
    [', eq(webhooks.lease, lease)', ''],
    ['isNull(users.disabled_at), ', ''],
    ['or(isNull(webhooks.leased_until), lte(webhooks.leased_until, at))', 'undefined'],
    ['coalesce(${webhooks.failing_since}, ${since}::timestamptz)', '${since}::timestamptz'],
  ]),
  ...inFile('src/webhooks/delivery.ts', [
    ['status === 410 ? undefined :', ''],
    ['previous_until > now()', 'true'],
  ]),
  ...inFile('src/webhooks/message.ts', [['[webhookId, number, taskId]', '[webhookId, taskId]']]),
  ...inFile('src/webhooks/statements.ts', [
    ['.set({ ...set, lease: null, leased_until: null })', '.set(set)'],
  ]),
  // Refresh tokens.
  ...inFile('src/auth/refresh-tokens/token.ts', [
    ['if (!keys.some((key) => timingSafeEqual(macOf(key, claims), mac))) return undefined\n', ''],
    ["'taskwarden refresh token'", "'taskwarden cursor'"],
  ]),
  ...inFile('src/auth/refresh-tokens/repository.ts', [
    ['graceSeconds = 60', 'graceSeconds = 61'],
    ['graceSeconds = 60', 'graceSeconds = 59'],
    ['(${used} >= ${newest} - 1 or', '(${used} >= ${newest} or'],
    ['${used} = ${newest} - 2 and', '${used} <= ${newest} - 2 and'],
    ['(not ${isAccepted} and ${sessions.refreshed_at} <= ${graceStart})', '(not ${isAccepted})'],
    ['greatest(${newest}, ${used} + 1)', '${newest} + 1'],
    ['case when ${used} >= ${newest} then ${time} else ${sessions.rotated_at} end', '${time}'],
    ['when ${isStolen} then ${time}\n', '\n'],
    ['gt(sessions.refresh_expires_at, at)', 'gt(sessions.expires_at, at)'],
    [', ${sessions.refresh_expires_at})`', ', ${addSeconds(at, ttlSeconds)}::timestamptz)`'],
    ['isUsable(at)', 'undefined'],
  ]),
  ...inFile('src/auth/refresh-tokens/cookie.ts', [
    ['httpOnly: true,\n', ''],
    ["sameSite: 'strict'", "sameSite: 'lax'"],
    ['secure: !isLoopback(request)', 'secure: false'],
    ["=== 'same-origin') return true", "!== 'cross-site') return true"],
    ['corsOrigins.includes(origin) || isOwnOrigin(request, origin)', 'true'],
    ['behindProxy && headers', 'headers'],
  ]),
  ...inFile('src/auth/refresh-tokens/routes.ts', [
    ["query.session === 'cookie' || isFromCookie", "query.session === 'cookie'"],
  ]),
  ...inFile('src/http/error-handler.ts', [
    ['hideFromUnauthenticated(toProblem(error), requestContext)', 'toProblem(error)'],
  ]),
  ...inFile('src/auth/sessions/activity.ts', [
    ['.where(and(isSession, isEarlier))', '.where(isSession)'],
  ]),
  // Mail.
  ...inFile('src/mail/links.ts', [
    ['${mailLinks.message_id} <= excluded.message_id', 'true'],
    [
      '${mailLinks.message_id} <= excluded.message_id',
      '${mailLinks.message_id} < excluded.message_id',
    ],
  ]),
  ...inFile('src/mail/invalid-links.ts', [
    ["['reset', 'verify']", "['verify']"],
    ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00000000-0000-0000-0000-000000000000'"],
    ["'9999-12-31T00:00:00.000Z'", 'now()'],
  ]),
  ...inFile('src/mail/transport.ts', [
    ['requireTLS: server.requireTls && !server.implicitTls', 'requireTLS: false'],
    ["  headers: { 'Auto-Submitted': 'auto-generated' },\n", ''],
  ]),
  ...inFile('src/mail/delivery.ts', [
    ['abandonAfterMs = 86_400_000', 'abandonAfterMs = 3_600_000'],
    ['15 * 4 ** (attempts - 1)', '0'],
  ]),
  ...inFile('src/mail/compose.ts', [
    ['|| !deliverable.test(composed.to)', ''],
    ['resetSeconds = 3600', 'resetSeconds = 3601'],
  ]),
  ...inFile('src/auth/sign-in/verified-sign-up.ts', [
    ["isSamePassword ? 'verify-email' : 'sign-up-again'", "'verify-email'"],
    ["if (!found.is_verification_due) return 'account-exists'\n", ''],
    [
      "isOverLimit ? 'none' : templateFor(found, isSamePassword)",
      'templateFor(found, isSamePassword)',
    ],
  ]),
  ...inFile('src/auth/link-limit.ts', [['linksPerHourMax = 5', 'linksPerHourMax = 6']]),
  ...inFile('src/auth/sign-in/routes.ts', [
    ['verifiedSignUp && account.is_verification_due', 'false'],
    ['      await attempt.succeeded()\n      await verifiedSignUp', '      await verifiedSignUp'],
  ]),
  ...inFile('src/auth/email-verification/routes.ts', [
    ["pending_email === null ? 'verify-email' : 'verify-new-email'", "'verify-email'"],
  ]),
  ...inFile('src/auth/accounts/statements.ts', [
    ['          email_verified_at: null,\n', ''],
    ['          pending_email: null,\n', ''],
  ]),
  // Scopes.
  ...inFile('src/http/route-guard.ts', [
    ["isRead ? 'tasks:read' : 'tasks:write'", "'tasks:read'"],
    ['detail?.security?.length === 0', 'true'],
  ]),
  ...inFile('src/auth/personal-tokens/repository.ts', [
    ["'tasks:read': 'tasks:read',", "'tasks:read': 'tasks:read tasks:write',"],
  ]),
  ...inFile('src/auth/personal-tokens/routes.ts', [[', grantedScope(scope))', ')']]),
  // Rate limits and their keys.
  ...inFile('src/http/rate-limit.ts', [
    ['revocationsMax : settings.limit', 'revocationsMax : settings.limit + 1'],
    ['`user:${principal.userId}`', '`user:${principal.sessionId}`'],
    ['`endings:${principal.sessionId}`', '`endings:${principal.userId}`'],
    ['`address:${address}`', "'address:'"],
  ]),
  ...inFile('src/http/client-address.ts', [
    ['.at(-trustProxy)', '.at(0)'],
    ['parts.slice(0, 4)', 'parts.slice(0, 8)'],
  ]),
  ...inFile('src/auth/login-throttle.ts', [
    ['take(fromThisAddress, settings.attempts)', 'take(fromThisAddress, settings.attempts + 1)'],
    ['settings.attemptsPerAccount)', 'settings.attemptsPerAccount + 1)'],
    ['settings.attemptsPerAddress)', 'settings.attemptsPerAddress + 1)'],
    ['.update(normalizeEmail(email))', '.update(email)'],
    ['`sign-in-here:${account}:${address}`', '`sign-in-here:${account}`'],
  ]),
  ...inFile('src/auth/passwords/hasher.ts', [
    ["verify(password.normalize('NFC'), hash ?? dummyHash)", 'verify(password, hash ?? dummyHash)'],
  ]),
  // Origins.
  ...inFile('src/http/cors.ts', [['!origins.includes(origin)', 'false']]),
  // The user and the query of a cursor.
  ...inFile('src/tasks/listing/routes.ts', [
    ['            principal.userId,\n', ''],
    ['            Object.entries(filters).sort(),\n', ''],
    ['            sort,\n', ''],
  ]),
  ...inFile('src/tasks/trash/routes.ts', [["[principal.userId, 'trash']", "['trash']"]]),
  // Bodies.
  ...inFile('src/http/body-parser.ts', [['fatal: true', 'fatal: false']]),
  ...inFile('src/http/idempotency.ts', [
    ['[search, condition, body]', '[search, condition]'],
    ['[search, condition, body]', '[condition, body]'],
    ['[search, condition, body]', '[search, body]'],
  ]),
]

/** `after` selects one of several mutants of the same text. */
type Equivalent = { file: string; kind: string; before: string; after?: string; why: string }

const same = (file: string, mutants: Omit<Equivalent, 'file'>[]): Equivalent[] =>
  mutants.map((mutant) => ({ file, ...mutant }))

const compactPattern = String.raw`/^[\w-]{2,200}\.[\w-]{2,2000}\.[\w-]{42}[AEIMQUYcgkosw048]$/`

/** Mutants that no request can tell from the original, each with its reason. An entry without a mutant fails the run. */
export const equivalent = [
  ...same('src/tasks/listing/repository.ts', [
    {
      kind: 'limit',
      before: '2000',
      why: 'how many tasks are read by the index of the filter: both ways have the same page',
    },
  ]),
  ...same('src/tasks/reminders/job.ts', [
    {
      kind: 'limit',
      before: '600_000',
      why: 'how often an idle service looks for reminders: another one was in use when it was set',
    },
  ]),
  ...same('src/auth/issuers/repository.ts', [
    {
      kind: 'limit',
      before: '5',
      why: 'the number of attempts is a safety limit: races in the tests need fewer',
    },
  ]),
  ...same('src/auth/accounts/operator-repository.ts', [
    {
      kind: 'limit',
      before: '1000',
      why: 'the page size affects memory only: the joined pages are the same',
    },
  ]),
  ...same('src/rate-limit/postgres.ts', [
    {
      kind: 'limit',
      before: '1000',
      why: 'the batch size affects the duration of a statement only: it is repeated until no row is left',
    },
  ]),
  ...same('src/tasks/task/responses.ts', [
    {
      kind: 'refusal',
      before: "!('task' in found)",
      why: 'a statement without a key finds no stored response: the check is for the type',
    },
  ]),
  ...same('src/tasks/batch/routes.ts', [
    {
      kind: 'refusal',
      before: "!('refused' in result)",
      why: 'a statement without a key finds no stored response: the check is for the type',
    },
  ]),
  ...same('src/tasks/transfer/routes.ts', [
    {
      kind: 'refusal',
      before: 'key === undefined',
      why: 'a statement without a key finds no stored response: the check is for the type',
    },
  ]),
  ...same('src/tasks/trash/repository.ts', [
    {
      kind: 'condition',
      before: 'isNotNull(tasks.deleted_at)',
      why: 'null is not before any time: the condition is needed for the partial index only',
    },
  ]),
  ...same('src/auth/access-tokens/jwt.ts', [
    {
      kind: 'hand-written',
      before: " algorithms: ['HS256'], ",
      why: 'the header is checked for HS256 before the library is called',
    },
    {
      kind: 'hand-written',
      before: ' typ, required',
      why: 'the header is checked for at+jwt before the library is called',
    },
    {
      kind: 'hand-written',
      before: " requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'], ",
      why: 'the schema of the claims requires all of them too',
    },
    {
      kind: 'pattern',
      before: compactPattern,
      after: compactPattern.replace('^', ''),
      why: 'the library accepts exactly three parts of base64url',
    },
    {
      kind: 'pattern',
      before: compactPattern,
      after: compactPattern.replace('200}', '201}'),
      why: 'no base64url has 201 characters',
    },
    {
      kind: 'pattern',
      before: compactPattern,
      after: compactPattern.replace('2000}', '2001}'),
      why: 'no base64url has 2001 characters',
    },
    {
      kind: 'pattern',
      before: compactPattern,
      after: compactPattern.replace('42}', '42,43}'),
      why: 'the comparison of signatures refuses a longer one',
    },
    {
      kind: 'reason',
      before: "members.alg === 'HS256'",
      why: 'the library accepts HS256 only too: this check is deliberately doubled',
    },
    {
      kind: 'bound',
      before: '0',
      why: 'exp is compared with the clock, and iat must be at most one lifetime before exp',
    },
  ]),
  ...same('src/auth/sign-in/repository.ts', [
    {
      kind: 'condition',
      before: 'exists(db.select().from(account))',
      why: 'it deletes only ended sessions; the condition makes it wait for the lock, which avoids deadlocks',
    },
  ]),
  ...same('src/auth/issuers/verifier.ts', [
    {
      kind: 'reason',
      before: 'verifiers.size === 0',
      why: 'without issuers no verifier is found: the check saves decoding the token',
    },
  ]),
  ...same('src/http/authenticated.ts', [
    {
      kind: 'unchecked',
      before:
        "context.principal ?? throwProblem('unauthenticated', { headers: bearerChallenge(false) })",
      why: 'the route guard admits no request without a principal: the check is for the type',
    },
  ]),
  ...same('src/auth/passwords/hasher.ts', [
    {
      kind: 'reason',
      before: 'hash !== undefined',
      why: 'without an account, the dummy hash of a random password is verified',
    },
  ]),
  ...same('src/http/rate-limit.ts', [
    {
      kind: 'refusal',
      before: 'hook === undefined',
      why: 'the plugin has the hook: the check is for the type, and for a later version without one',
    },
  ]),
  ...same('src/http/error-handler.ts', [
    {
      kind: 'reason',
      before: 'error instanceof Error',
      why: 'only errors are thrown: the check is for the type',
    },
  ]),
  ...same('src/http/request-context.ts', [
    {
      kind: 'refusal',
      before: 'context === undefined',
      why: 'the route guard creates one for every request: the check is for the type',
    },
  ]),
  ...same('src/http/client-address.ts', [
    { kind: 'pattern', before: '/%.*$/', why: 'a header has one line' },
  ]),
]
