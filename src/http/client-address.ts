import { isIP } from 'node:net'
import addresses from 'ipaddr.js'

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
  // First, because parsing takes 2 µs. The library also reads octal and shortened IPv4 addresses, which no proxy writes.
  if (isIP(text) === 4) return text
  const address = bare(text)
  const ipv4 = address.replace(/^::ffff:(?=[\d.]+$)/i, '')
  if (isIP(ipv4) === 4) return ipv4
  if (isIP(address) !== 6) return undefined
  const parsed = addresses.process(address)
  if (!('parts' in parsed)) return parsed.toString()
  const network = parsed.parts.slice(0, 4).map((group) => group.toString(16))
  return `${network.join(':')}::/64`
}

/** Removes a zone, and the port that some proxies add (`192.0.2.1:4711`, `[2001:db8::1]:4711`). */
const bare = (text: string) =>
  text
    .trim()
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/^\[([^\]]*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '')
