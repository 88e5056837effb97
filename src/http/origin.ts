type Settings = {
  links: { publicUrl: string; isPublicUrlSet: boolean }
  trustProxy: unknown
}

/**
 * The origin of the service: PUBLIC_URL, or else the one that the request was sent to, by `Host` and, behind a proxy, by
 * `X-Forwarded-Proto`. Only the response to this request may contain it.
 */
export const createOrigin =
  ({ links, trustProxy }: Settings) =>
  ({ url, headers }: Request): string => {
    if (links.isPublicUrlSet) return links.publicUrl
    const { origin } = new URL(url)
    const isHttps = trustProxy !== 'none' && headers.get('x-forwarded-proto') === 'https'
    return isHttps ? origin.replace(/^http:/, 'https:') : origin
  }
