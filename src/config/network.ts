import { type EnvReader, parseWholeNumber } from './environment.ts'

const hopsMax = 10

/** TRUST_PROXY: which proxy is trusted to report the client's address. */
export const readTrustProxy = (read: EnvReader): 'none' | 'fly' | 'railway' | number => {
  const text = read.text('TRUST_PROXY') ?? 'none'
  if (text === 'none' || text === 'fly' || text === 'railway') return text
  const hops = parseWholeNumber(text)
  if (hops >= 1 && hops <= hopsMax) return hops
  read.problem('TRUST_PROXY', `is not none, fly, railway or a number of hops from 1 to ${hopsMax}`)
  return 'none'
}

/** CORS_ORIGINS. A wildcard is refused: it names no origin to trust. */
export const readCorsOrigins = (read: EnvReader): string[] => {
  const text = read.text('CORS_ORIGINS')
  const origins = text === undefined ? [] : text.split(',').map((origin) => origin.trim())
  if (!origins.every(isOrigin))
    read.problem(
      'CORS_ORIGINS',
      'is not a comma-separated list of origins as browsers send them: https://app.example.com, ' +
        'without path or trailing slash; * is not accepted',
    )
  return origins
}

/** Whether the text is an origin as browsers send it. */
export const isOrigin = (text: string) =>
  /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text
