import ipaddr from 'ipaddr.js'

/** IPv4-compatible addresses (RFC 4291 §2.5.5.1): `ipaddr.js` takes them for public ones. */
const compatible = ipaddr.IPv6.parseCIDR('::/96')

/**
 * Whether an IP address is one of the public internet: a global unicast address that contains no other address. Mapped,
 * translated and tunnelled forms (`::ffff:10.0.0.1`, NAT64, 6to4, Teredo) are not.
 */
export const isPublicAddress = (text: string): boolean => {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  const isCompatible = address instanceof ipaddr.IPv6 && address.match(compatible)
  return address.range() === 'unicast' && !isCompatible
}

/** Whether an IP address is this machine. */
export const isLoopback = (text: string): boolean =>
  ipaddr.isValid(text) && ipaddr.process(text).range() === 'loopback'

/** The IP address of a host in a URL, without the brackets of IPv6; undefined for a name. */
export const addressIn = (hostname: string): string | undefined => {
  const text = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(text) ? text : undefined
}
