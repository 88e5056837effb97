import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import type { WebhookConfig } from '../config/webhooks.ts'
import { addressIn, isLoopback, isPublicAddress } from './addresses.ts'

export type Resolve = (hostname: string) => Promise<readonly Pick<LookupAddress, 'address'>[]>

/** A delivery that was not sent, and why. */
export class Undeliverable extends Error {}

const resolveByDns: Resolve = (hostname) => lookup(hostname, { all: true, order: 'ipv4first' })

/**
 * Where a webhook may lead. Users choose the URL, and the service connects to it from inside of the operator's network:
 * only public addresses are permitted (OWASP, Server Side Request Forgery Prevention).
 *
 * The decision is about the address that is connected to. A name is resolved once per delivery, and if any of its
 * addresses is not permitted, none is used.
 */
export const createDestinations = (
  { allowedHosts, allowsLoopback }: WebhookConfig,
  resolve = resolveByDns,
) => {
  const isListed = ({ hostname, host }: URL) =>
    allowedHosts.includes(hostname) || allowedHosts.includes(host)
  const isPermitted = (address: string) =>
    isPublicAddress(address) || (allowsLoopback && isLoopback(address))

  return {
    /** What is wrong with the URL of a new webhook; undefined if nothing is. Names are checked when they are used. */
    explainRefusal: (text: string): string | undefined => {
      const url = URL.parse(text)
      if (url === null || !/^https?:\/\/[^/]/i.test(text)) return 'must be an https URL'
      if (url.username !== '' || url.password !== '') return 'must not contain a user or a password'
      if (isListed(url)) return undefined
      if (url.protocol !== 'https:' && !allowsLoopback) return 'must be an https URL'
      const address = addressIn(url.hostname)
      return address === undefined || isPermitted(address)
        ? undefined
        : 'must not lead to an address that is not public'
    },

    /** The addresses to connect to, IPv4 first; `Undeliverable` if there is none, or one that is not permitted. */
    find: async (url: URL): Promise<string[]> => {
      const literal = addressIn(url.hostname)
      const found = literal === undefined ? await resolveName(url.hostname) : [literal]
      if (found.length === 0) throw new Undeliverable('the host name has no address')
      if (isListed(url) || found.every(isPermitted)) return found
      throw new Undeliverable('the address is not public')
    },
  }

  async function resolveName(hostname: string): Promise<string[]> {
    const found = await resolve(hostname).catch(() => [])
    return found.map(({ address }) => address)
  }
}

export type Destinations = ReturnType<typeof createDestinations>
