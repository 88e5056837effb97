import ipaddr from 'ipaddr.js'

/** The prefixes of NAT64 (RFC 6052, RFC 8215): such an address reaches the IPv4 address that it contains. */
const translated = [ipaddr.parseCIDR('64:ff9b::/96'), ipaddr.parseCIDR('64:ff9b:1::/48')] as const
/** Ranges that `ipaddr.js` does not know: IPv4-compatible, documentation (RFC 9637), SRv6 (RFC 9602), site-local. */
const reserved = ['::/96', '3fff::/20', '5f00::/16', 'fec0::/10'].map((one) =>
  ipaddr.parseCIDR(one),
)

type Address = ipaddr.IPv4 | ipaddr.IPv6

const isIn = (address: Address, [network, bits]: readonly [Address, number]) =>
  address.kind() === network.kind() && address.match([network, bits] as [never, number])

/**
 * Whether an IP address is one of the public internet: a global unicast address that contains no other address. Mapped,
 * translated and tunnelled forms (`::ffff:10.0.0.1`, NAT64, 6to4, Teredo) are not.
 */
export const isPublicAddress = (text: string): boolean => {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.parse(text)
  return (
    address.range() === 'unicast' && ![...translated, ...reserved].some((one) => isIn(address, one))
  )
}

/** Whether an IP address is this machine. */
export const isLoopback = (text: string): boolean =>
  ipaddr.isValid(text) && ipaddr.process(text).range() === 'loopback'

/** The IP address of a host in a URL, without the brackets of IPv6; undefined for a name. */
export const addressIn = (hostname: string): string | undefined => {
  const text = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(text) ? text : undefined
}
