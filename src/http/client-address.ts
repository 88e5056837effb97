import { isIP } from 'node:net'

/** Who may say where a request came from: nobody, a platform's edge, or our own proxies. */
type TrustProxy = 'none' | 'fly' | 'railway' | number

/**
 * The key under which a client's address is counted: an IPv4 address, the /64 of an
 * IPv6 address (the least that one subscriber gets), or `unknown`.
 *
 * A header is believed only if `trustProxy` names who writes it, and only if it holds
 * exactly an address; whatever else it holds, the socket's peer counts.
 */
export const createClientAddress =
  (trustProxy: TrustProxy) =>
  (request: Request, peer: string | undefined): string =>
    toAddressKey(forwardedAddress(trustProxy, request.headers)) ?? toAddressKey(peer) ?? 'unknown'

/**
 * Fly's proxy writes `Fly-Client-IP` itself. Railway's edge overwrites `X-Real-IP` with
 * the client's address, also behind Cloudflare; its `X-Forwarded-For` ends with an
 * address of the edge that changes from request to request, so hops are of no use there.
 */
const forwardedAddress = (trustProxy: TrustProxy, headers: Headers) => {
  if (trustProxy === 'none') return undefined
  if (trustProxy === 'fly') return headers.get('fly-client-ip')
  if (trustProxy === 'railway') return headers.get('x-real-ip')
  // Each proxy appends the peer it saw, so the n-th from the right was written by the
  // outermost of n proxies of ours. What stands left of it is the client's own word.
  return headers.get('x-forwarded-for')?.split(',').at(-trustProxy)
}

const toAddressKey = (text: string | null | undefined) => {
  if (!text) return undefined
  const address = bare(text)
  if (isIP(address) === 4) return address
  if (isIP(address) !== 6) return undefined

  const groups = groupsOf(address)
  const [a, b, c, d, e, f, high = 0, low = 0] = groups
  if (!(a || b || c || d || e) && f === 0xffff)
    return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  return `${groups.slice(0, 4).map(hex).join(':')}::/64`
}

/** Without the port that some proxies add (`192.0.2.1:4711`, `[2001:db8::1]:4711`), or a zone. */
const bare = (text: string) =>
  text
    .trim()
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/^\[([^\]]*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '')

/** The eight numbers of an IPv6 address. */
const groupsOf = (address: string) => {
  const [left = [], right = []] = address.split('::').map(numbersIn)
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}

const numbersIn = (side: string) =>
  side.split(':').flatMap((group) => {
    if (group === '') return []
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })

const hex = (group: number) => group.toString(16)
