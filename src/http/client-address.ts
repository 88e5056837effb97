import { isIP } from 'node:net'

/** Which proxy is trusted to report the client's address: none, a platform's edge, or a number of own proxies. */
type TrustProxy = 'none' | 'fly' | 'railway' | number

/**
 * The rate-limit key of a client's address: an IPv4 address, the /64 of an IPv6 address (the smallest network that
 * a subscriber gets), or `unknown`.
 *
 * A header is trusted only if `trustProxy` names the proxy that writes it, and only if it contains exactly an
 * address. Otherwise the peer of the socket is used.
 */
export const createClientAddress =
  (trustProxy: TrustProxy) =>
  (request: Request, peer: string | undefined): string =>
    toAddressKey(forwardedAddress(trustProxy, request.headers)) ?? toAddressKey(peer) ?? 'unknown'

/**
 * Fly's proxy sets `Fly-Client-IP`. Railway's edge overwrites `X-Real-IP` with the client's address, also behind
 * Cloudflare. Railway's `X-Forwarded-For` ends with a changing address of the edge, so hops cannot be counted.
 */
const forwardedAddress = (trustProxy: TrustProxy, headers: Headers) => {
  if (trustProxy === 'none') return undefined
  if (trustProxy === 'fly') return headers.get('fly-client-ip')
  if (trustProxy === 'railway') return headers.get('x-real-ip')
  // Each proxy appends its peer: the outermost of n own proxies wrote the n-th address from the right. The client
  // controls everything left of it.
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

/** Removes a zone, and the port that some proxies add (`192.0.2.1:4711`, `[2001:db8::1]:4711`). */
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
