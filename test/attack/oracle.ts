import { problemCatalogue } from '../../src/http/problem-catalogue.ts'
import type { LogFields } from '../../src/log.ts'
import { type Answer, rowsOf, type Someone } from '../support/service.ts'

type Expected = {
  /** Texts that neither a response nor the log may contain. */
  canaries?: readonly string[]
  /** The OAuth 2 form has the error format of RFC 6749. */
  isForm?: boolean
  /** Whether 503 is an allowed response. */
  mayBeBusy?: boolean
}

const codes: Record<string, { status: number; title: string }> = problemCatalogue
const members = new Set(['type', 'title', 'status', 'code', 'request_id', 'errors'])
const grantErrors = new Set(['invalid_request', 'invalid_grant', 'unsupported_grant_type'])

/** Twenty errors of 200 characters each: a small request must not have a large response. */
const errorLengthMax = 16_384

/** Texts that reveal the implementation: statements, stack frames, drivers, hashes. */
const insides =
  /\b(select|insert into|update|delete from) "|\bat \S+ \(?\/?\S+:\d+:\d+|node_modules|\/src\/|PostgresError|DrizzleQueryError|PGlite|TypeError|SyntaxError|\$2[aby]\$\d\d\$/i

/** The faults of a response that are independent of the request. */
export const wrongsOf = (answer: Answer, expected: Expected = {}): string[] => {
  const { status, headers, text } = answer
  const wrongs: string[] = []
  const isMailOff = answer.body?.code === 'mail-disabled'
  if (status >= 500 && !isMailOff && !(expected.mayBeBusy && status === 503))
    wrongs.push(`status ${status}`)
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(headers.get('x-request-id') ?? ''))
    wrongs.push('no X-Request-Id')
  if (headers.get('x-content-type-options') !== 'nosniff') wrongs.push('no nosniff')
  if (!headers.has('cache-control')) wrongs.push('no Cache-Control')
  if (/^(server|x-powered-by|via)$/m.test([...headers.keys()].join('\n')))
    wrongs.push('a header names the software')
  if (status >= 400) wrongs.push(...problemWrongs(answer, expected))

  const whole = `${text}\n${[...headers].join('\n')}`
  for (const canary of expected.canaries ?? [])
    if (whole.includes(canary)) wrongs.push(`answers ${canary.slice(0, 60)}`)
  return wrongs
}

const problemWrongs = ({ status, headers, text, body }: Answer, { isForm }: Expected): string[] => {
  const wrongs: string[] = []
  const type = headers.get('content-type')
  if (isForm && status === 400 && type?.startsWith('application/json')) {
    if (!grantErrors.has(body?.error)) wrongs.push(`is no error of RFC 6749: ${text}`)
    return wrongs
  }
  if (text.length > errorLengthMax) wrongs.push(`an error of ${text.length} characters`)
  if (insides.test(text)) wrongs.push(`shows its insides: ${text.slice(0, 300)}`)
  // The response to HEAD has headers only.
  if (type !== 'application/problem+json') wrongs.push(`an error of the type ${type}`)
  if (text === '') return wrongs
  const known = codes[body?.code]
  if (known?.status !== status || body.status !== status || body.title !== known.title)
    wrongs.push(`not of the catalogue: ${text.slice(0, 300)}`)
  if (body?.type !== `/problems/${body?.code}`) wrongs.push('a type of another code')
  if (body?.request_id !== headers.get('x-request-id')) wrongs.push('another request_id')
  if (Object.keys(body ?? {}).some((name) => !members.has(name))) wrongs.push('a member too many')
  if (status === 401 && body?.code === 'unauthenticated' && !headers.has('www-authenticate'))
    wrongs.push('a 401 without a challenge')
  const isTemporary = status === 429 || (status === 503 && body?.code !== 'mail-disabled')
  if (isTemporary && !headers.has('retry-after')) wrongs.push('no Retry-After')
  return wrongs
}

/** Returns the forbidden texts in the log, and empties it. */
export const leaksIn = (log: LogFields[], canaries: readonly string[]): string[] => {
  const lines = log.splice(0).map((line) => JSON.stringify(line))
  return lines.flatMap((line) =>
    canaries
      .filter((canary) => line.includes(canary) || line.includes(JSON.stringify(canary)))
      .map((canary) => `logs ${canary.slice(0, 60)}: ${line.slice(0, 300)}`),
  )
}

/** The values of a user that no other user and no log may see. */
export const readJwtSecrets = async ({ id, password, token }: Someone): Promise<string[]> => {
  const { users } = await rowsOf(id)
  return [password, token, ...users.flatMap(({ password_hash }) => password_hash ?? [])]
}
