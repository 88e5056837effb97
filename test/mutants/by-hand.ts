// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are looked for in sources, not filled in

/** A mutant that no rule derives: `text` stands in the file exactly once. */
type ByHand = { file: string; text: string; after: string }

export const byHand: ByHand[] = [
  // What a token has to be.
  {
    file: 'src/auth/tokens.ts',
    text: '    issuer,\n    audience,\n    typ,',
    after: '    audience,\n    typ,',
  },
  { file: 'src/auth/tokens.ts', text: '    audience,\n    typ,', after: '    typ,' },
  { file: 'src/auth/tokens.ts', text: "    algorithms: ['HS256'],\n", after: '' },
  { file: 'src/auth/tokens.ts', text: '    typ,\n    required', after: '    required' },
  {
    file: 'src/auth/tokens.ts',
    text: "    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],\n",
    after: '',
  },
  {
    file: 'src/auth/tokens.ts',
    text: 'scope === undefined ? ttlSeconds : personalSecondsMax',
    after: 'personalSecondsMax',
  },
  {
    file: 'src/app.ts',
    text: 'isLive: (caller) => accountOf(db, caller).isLive()',
    after: 'isLive: async () => true',
  },
  {
    file: 'src/app.ts',
    text: 'Math.min(ttlSeconds, sessionMaxDays * 86_400)',
    after: 'ttlSeconds',
  },
  {
    file: 'src/auth/session-repository.ts',
    text: 'least(${later(at, ttlSeconds)}::timestamptz, ${limit})',
    after: '${later(at, ttlSeconds)}::timestamptz + (${limit} - ${limit})',
  },
  // What a scope allows.
  { file: 'src/http/door.ts', text: "reads ? 'tasks:read' : 'tasks:write'", after: "'tasks:read'" },
  { file: 'src/http/door.ts', text: 'detail?.security?.length === 0', after: 'true' },
  {
    file: 'src/auth/token-repository.ts',
    text: "{ 'tasks:read': 'tasks:read',",
    after: "{ 'tasks:read': 'tasks:read tasks:write',",
  },
  { file: 'src/auth/token-routes.ts', text: ', grantedScope(scope))', after: ')' },
  // What is counted, and against whom.
  {
    file: 'src/http/rate-limit.ts',
    text: 'countFailedRequest: true',
    after: 'countFailedRequest: false',
  },
  {
    file: 'src/http/rate-limit.ts',
    text: 'endingsMax : settings.limit',
    after: 'endingsMax : settings.limit + 1',
  },
  {
    file: 'src/http/rate-limit.ts',
    text: '`user:${caller.userId}`',
    after: '`user:${caller.sessionId}`',
  },
  {
    file: 'src/http/rate-limit.ts',
    text: '`endings:${caller.sessionId}`',
    after: '`endings:${caller.userId}`',
  },
  { file: 'src/http/rate-limit.ts', text: '`address:${address}`', after: "'address:'" },
  { file: 'src/http/client-address.ts', text: '.at(-trustProxy)', after: '.at(0)' },
  { file: 'src/http/client-address.ts', text: 'groups.slice(0, 4)', after: 'groups.slice(0, 8)' },
  {
    file: 'src/auth/attempts.ts',
    text: 'take(here, settings.attempts)',
    after: 'take(here, settings.attempts + 1)',
  },
  {
    file: 'src/auth/attempts.ts',
    text: 'settings.attemptsPerAccount)',
    after: 'settings.attemptsPerAccount + 1)',
  },
  {
    file: 'src/auth/attempts.ts',
    text: 'settings.attemptsPerAddress)',
    after: 'settings.attemptsPerAddress + 1)',
  },
  { file: 'src/auth/attempts.ts', text: '.update(canonicalEmail(email))', after: '.update(email)' },
  {
    file: 'src/auth/attempts.ts',
    text: '`sign-in-here:${account}:${address}`',
    after: '`sign-in-here:${account}`',
  },
  {
    file: 'src/auth/passwords.ts',
    text: "verify(password.normalize('NFC'), hash ?? nobody)",
    after: 'verify(password, hash ?? nobody)',
  },
  // Whose a cursor is, and of which list.
  {
    file: 'src/tasks/listing-routes.ts',
    text: "[caller.userId, 'tasks', sort, Object.entries(filters).sort()]",
    after: "['tasks', sort, Object.entries(filters).sort()]",
  },
  {
    file: 'src/tasks/listing-routes.ts',
    text: "'tasks', sort, Object.entries(filters).sort()]",
    after: "'tasks', sort]",
  },
  { file: 'src/tasks/listing-routes.ts', text: "'tasks', sort, Object", after: "'tasks', Object" },
  { file: 'src/tasks/listing-routes.ts', text: "[caller.userId, 'trash']", after: "['trash']" },
  { file: 'src/tasks/bulk-routes.ts', text: "[caller.userId, 'changes']", after: "['changes']" },
  // What a body may be.
  { file: 'src/http/intake.ts', text: 'fatal: true', after: 'fatal: false' },
  {
    file: 'src/tasks/idempotency.ts',
    text: '[search, condition, body]',
    after: '[search, condition]',
  },
  {
    file: 'src/tasks/idempotency.ts',
    text: '[search, condition, body]',
    after: '[condition, body]',
  },
  { file: 'src/tasks/idempotency.ts', text: '[search, condition, body]', after: '[search, body]' },
]

/**
 * Mutants that change nothing that a request could show, each with its reason. One that no longer
 * fits a mutant fails the run.
 */
export const equivalent: {
  file: string
  kind: string
  before: string
  after?: string
  why: string
}[] = [
  {
    file: 'src/auth/identity-repository.ts',
    kind: 'limit',
    before: '5',
    why: 'how often to look again is a matter of patience: the rounds that races need are fewer',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'by hand',
    before: " algorithms: ['HS256'], ",
    why: 'the header is held to HS256 before the library sees it',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'by hand',
    before: ' typ, required',
    why: 'the header is held to at+jwt before the library sees it',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'by hand',
    before: " requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'], ",
    why: 'the shape of the claims asks for all of them too',
  },
  {
    file: 'src/http/rate-limit.ts',
    kind: 'by hand',
    before: 'countFailedRequest: true',
    why: 'it says what the onError of the plugin does, which never runs behind ours',
  },
  {
    file: 'src/auth/repository.ts',
    kind: 'condition',
    before: 'exists(db.select().from(account))',
    why: 'what it sweeps has ended anyway; it makes the sweep wait for the lock, lest two deadlock',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'pattern',
    before: '/^[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    after: '/[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    why: 'the library takes three parts of base64url and nothing around them',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'pattern',
    before: '/^[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    after: '/^[\\w-]{2,201}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    why: 'no base64url has 201 characters',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'pattern',
    before: '/^[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    after: '/^[\\w-]{2,200}\\.[\\w-]{2,2001}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    why: 'no base64url has 2001 characters',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'pattern',
    before: '/^[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42}[AEIMQUYcgkosw048]$/',
    after: '/^[\\w-]{2,200}\\.[\\w-]{2,2000}\\.[\\w-]{42,43}[AEIMQUYcgkosw048]$/',
    why: 'a longer signature is not that of any text',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'reason',
    before: "members.alg === 'HS256'",
    why: 'the library is held to HS256 too: two locks where most is tried',
  },
  {
    file: 'src/auth/tokens.ts',
    kind: 'bound',
    before: '0',
    why: 'exp is held against the clock, and iat to no more than a life before it',
  },
  {
    file: 'src/auth/guard.ts',
    kind: 'unchecked',
    before: "caller ?? refuse('unauthenticated', { headers: challenge(false) })",
    why: 'the door lets nobody in without a caller: two locks, the second for its type',
  },
  {
    file: 'src/auth/passwords.ts',
    kind: 'reason',
    before: 'hash !== undefined',
    why: 'what is verified then is the hash of a password that nobody knows',
  },
  {
    file: 'src/http/client-address.ts',
    kind: 'pattern',
    before: '/%.*$/',
    why: 'a header has one line',
  },
]
