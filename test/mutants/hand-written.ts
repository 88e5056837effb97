// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are looked for in sources, not filled in

/** `text` stands in the file exactly once. */
type ByHand = { file: string; text: string; after: string }

const inFile = (file: string, changes: [text: string, after: string][]): ByHand[] =>
  changes.map(([text, after]) => ({ file, text, after }))

/** Mutants that no rule derives. */
export const byHand = [
  // What a token has to be.
  ...inFile('src/auth/access-tokens/jwt.ts', [
    ['    issuer,\n    audience,\n    typ,', '    audience,\n    typ,'],
    ['    audience,\n    typ,', '    typ,'],
    ["    algorithms: ['HS256'],\n", ''],
    ['    typ,\n    required', '    required'],
    ["    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],\n", ''],
    ['scope === undefined ? ttlSeconds : personalSecondsMax', 'personalSecondsMax'],
  ]),
  ...inFile('src/app.ts', [
    [
      'isSessionLive: (principal) => accounts(principal).isSessionLive()',
      'isSessionLive: async () => true',
    ],
  ]),
  ...inFile('src/auth/sign-in/repository.ts', [
    ['Math.min(ttlSeconds, sessionMaxDays * 86_400)', 'ttlSeconds'],
  ]),
  ...inFile('src/auth/sessions/repository.ts', [
    [
      'least(${expiresAt}::timestamptz, ${limit})',
      '${expiresAt}::timestamptz + (${limit} - ${limit})',
    ],
  ]),
  // What a scope allows.
  ...inFile('src/http/route-guard.ts', [
    ["isRead ? 'tasks:read' : 'tasks:write'", "'tasks:read'"],
    ['detail?.security?.length === 0', 'true'],
  ]),
  ...inFile('src/auth/personal-tokens/repository.ts', [
    ["{ 'tasks:read': 'tasks:read',", "{ 'tasks:read': 'tasks:read tasks:write',"],
  ]),
  ...inFile('src/auth/personal-tokens/routes.ts', [[', grantedScope(scope))', ')']]),
  // What is counted, and against whom.
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
  // Whose pages may read.
  ...inFile('src/http/cors.ts', [['!origins.includes(origin)', 'false']]),
  // Whose a cursor is, and of which list.
  ...inFile('src/tasks/listing/routes.ts', [
    ['            principal.userId,\n', ''],
    ['            Object.entries(filters).sort(),\n', ''],
    ['            sort,\n', ''],
  ]),
  ...inFile('src/tasks/trash/routes.ts', [["[principal.userId, 'trash']", "['trash']"]]),
  ...inFile('src/tasks/changes/routes.ts', [["[principal.userId, 'changes']", "['changes']"]]),
  // What a body may be.
  ...inFile('src/http/body-parser.ts', [['fatal: true', 'fatal: false']]),
  ...inFile('src/http/idempotency.ts', [
    ['[search, condition, body]', '[search, condition]'],
    ['[search, condition, body]', '[condition, body]'],
    ['[search, condition, body]', '[search, body]'],
  ]),
]

/** `after` where only one of several mutants of the place is meant. */
type Equivalent = { file: string; kind: string; before: string; after?: string; why: string }

const same = (file: string, mutants: Omit<Equivalent, 'file'>[]): Equivalent[] =>
  mutants.map((mutant) => ({ file, ...mutant }))

const compactPattern = String.raw`/^[\w-]{2,200}\.[\w-]{2,2000}\.[\w-]{42}[AEIMQUYcgkosw048]$/`

/**
 * Mutants that change nothing that a request could show, each with its reason. One that no longer
 * fits a mutant fails the run.
 */
export const equivalent = [
  ...same('src/auth/issuers/repository.ts', [
    {
      kind: 'limit',
      before: '5',
      why: 'how often to look again is a matter of patience: the rounds that races need are fewer',
    },
  ]),
  ...same('src/auth/accounts/operator-repository.ts', [
    {
      kind: 'limit',
      before: '1000',
      why: 'how many rows a page has is a matter of memory: joined, the pages are the same',
    },
  ]),
  ...same('src/rate-limit/postgres.ts', [
    {
      kind: 'limit',
      before: '1000',
      why: 'how many rows a statement clears is a matter of its time: it is sent until none is left',
    },
  ]),
  ...same('src/tasks/task/responses.ts', [
    {
      kind: 'refusal',
      before: "!('task' in found)",
      why: 'a statement without a key finds no kept answer: the check is for its type',
    },
  ]),
  ...same('src/tasks/batch/routes.ts', [
    {
      kind: 'refusal',
      before: "!('refused' in result)",
      why: 'a statement without a key finds no kept answer: the check is for its type',
    },
  ]),
  ...same('src/tasks/transfer/routes.ts', [
    {
      kind: 'refusal',
      before: 'key === undefined',
      why: 'a statement without a key finds no kept answer: the check is for its type',
    },
  ]),
  ...same('src/tasks/trash/repository.ts', [
    {
      kind: 'limit',
      before: '5000',
      why: 'how many rows a statement erases is a matter of its time: it is sent until fewer are left',
    },
    {
      kind: 'condition',
      before: 'isNotNull(tasks.deleted_at)',
      why: 'what is not deleted is not before an instant either: it is in words that the index knows',
    },
  ]),
  ...same('src/auth/access-tokens/jwt.ts', [
    {
      kind: 'by hand',
      before: " algorithms: ['HS256'], ",
      why: 'the header is held to HS256 before the library sees it',
    },
    {
      kind: 'by hand',
      before: ' typ, required',
      why: 'the header is held to at+jwt before the library sees it',
    },
    {
      kind: 'by hand',
      before: " requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'], ",
      why: 'the shape of the claims asks for all of them too',
    },
    {
      kind: 'pattern',
      before: compactPattern,
      after: compactPattern.replace('^', ''),
      why: 'the library takes three parts of base64url and nothing around them',
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
      why: 'a longer signature is not that of any text',
    },
    {
      kind: 'reason',
      before: "members.alg === 'HS256'",
      why: 'the library is held to HS256 too: two locks where most is tried',
    },
    {
      kind: 'bound',
      before: '0',
      why: 'exp is held against the clock, and iat to no more than a life before it',
    },
  ]),
  ...same('src/auth/sign-in/repository.ts', [
    {
      kind: 'condition',
      before: 'exists(db.select().from(account))',
      why: 'what it sweeps has ended anyway; it makes the sweep wait for the lock, lest two deadlock',
    },
  ]),
  ...same('src/auth/issuers/verifier.ts', [
    {
      kind: 'reason',
      before: 'verifiers.size === 0',
      why: 'of no issuers none is found: it spares reading who a token says it is of',
    },
  ]),
  ...same('src/http/authenticated.ts', [
    {
      kind: 'unchecked',
      before: "principal ?? throwProblem('unauthenticated', { headers: bearerChallenge(false) })",
      why: 'the route guard admits no request without a principal: two locks, the second for its type',
    },
  ]),
  ...same('src/auth/passwords/hasher.ts', [
    {
      kind: 'reason',
      before: 'hash !== undefined',
      why: 'what is verified then is the hash of a password that nobody knows',
    },
  ]),
  ...same('src/http/rate-limit.ts', [
    {
      kind: 'refusal',
      before: 'hook === undefined',
      why: 'the plugin has its hook: the check is for its type, and for a version without one',
    },
  ]),
  ...same('src/http/route-guard.ts', [
    {
      kind: 'reason',
      before: 'token',
      why: 'nothing is no token of anybody: the check is for its type',
    },
  ]),
  ...same('src/http/error-handler.ts', [
    {
      kind: 'reason',
      before: 'error instanceof Error',
      why: 'nothing else is thrown: the check is for its type',
    },
  ]),
  ...same('src/http/request-context.ts', [
    {
      kind: 'refusal',
      before: 'context === undefined',
      why: 'no request passes the route guard without one: the check is for its type',
    },
  ]),
  ...same('src/http/client-address.ts', [
    { kind: 'pattern', before: '/%.*$/', why: 'a header has one line' },
  ]),
]
