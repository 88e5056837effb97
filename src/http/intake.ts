import { Elysia } from 'elysia'
import { invalid, pointerTo, Refusal, refuse } from '../errors.ts'
import { TextBody } from '../shapes.ts'
import { isDeep, tooDeep } from './depth.ts'
import { unknownParameter } from './issues.ts'
import type { Visits } from './visits.ts'

/**
 * Reads bodies and queries, in place of Elysia's own parsers.
 *
 * Those take any body whose media type they do not know for JSON, replace invalid
 * UTF-8, split query values at commas and keep the last of two equal parameters.
 * Here what is not JSON is 415, what does not parse 400, and a parameter given
 * twice is a list, which only a schema that asks for a list accepts.
 */
export const intake = (visits: Visits) =>
  new Elysia({ name: 'intake' })
    // Wrapped, because Elysia takes `undefined` for "try the next parser".
    .onParse({ as: 'global' }, async ({ request }) => {
      const { accepts, bodyMax } = visits.of(request)
      return { read: await readBody(request, accepts, bodyMax) }
    })
    .onTransform({ as: 'global' }, (context) => {
      const { request, qi, url } = context as typeof context & { qi: number; url: string }
      if (isRead(context.body)) context.body = context.body.read
      if (!request.url.includes('?')) return
      context.query = readQuery(url, qi)
      const [unknown] = visits.of(request).takesQuery ? [] : Object.keys(context.query)
      if (unknown !== undefined) invalid(pointerTo(unknown), unknownParameter, 'query')
    })

const isRead = (body: unknown): body is { read: unknown } =>
  typeof body === 'object' && body !== null && 'read' in body

const readBody = async (request: Request, accepts: readonly string[], bodyMax: number) => {
  const bytes = await readBytes(request, bodyMax).catch(cutOff)
  const type = request.headers.get('content-type')
  if (bytes.length === 0 && type === null) return undefined
  if (!isAccepted(type, accepts) || request.headers.has('content-encoding'))
    refuse('unsupported-media-type')
  const essence = essenceOf(type)
  // Of a format of its own, nothing is something: an export without tasks.
  if (bytes.length === 0 && /[/+]json$/.test(essence)) return undefined

  const text = readText(bytes)
  if (essence === 'application/x-www-form-urlencoded') return new URLSearchParams(text)
  if (!/[/+]json$/.test(essence)) return new TextBody(essence, text)
  const body = readJson(text)
  if (isDeep(text)) invalid('', tooDeep)
  return body
}

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return refuse('malformed-request')
  }
}

const essenceOf = (type: string | null): string =>
  (type ?? '').split(';', 1).join().trim().toLowerCase()

/** Parameters of a media type are nobody's business but `charset`, which has one value for JSON (RFC 8259). */
const isAccepted = (type: string | null, accepts: readonly string[]): boolean => {
  const [, ...parameters] = (type ?? '').toLowerCase().split(';')
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='))
  return (
    accepts.includes(essenceOf(type)) &&
    (charset === undefined || /^charset="?utf-?8"?$/.test(charset))
  )
}

const readText = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return refuse('malformed-request')
  }
}

/** The whole body, or 413 as soon as it is over the limit: a length may be missing, or be a lie. */
const readBytes = async (request: Request, bodyMax: number): Promise<Uint8Array> => {
  if (request.body === null) return new Uint8Array()
  if (request.headers.has('content-length')) return request.bytes()

  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.length
    if (length > bodyMax) refuse('body-too-large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Whoever hangs up in the middle of a body has sent half of one: that is no error of ours. */
const cutOff = (error: unknown): never => {
  if (error instanceof Refusal) throw error
  return refuse('malformed-request')
}

const readQuery = (url: string, at: number): Record<string, string> => {
  const query: Record<string, string | string[]> = Object.create(null)
  for (const part of url.slice(at + 1).split('&')) {
    if (part === '') continue
    const [name = '', value = ''] = splitOnce(part, '=').map(decode)
    const before = query[name]
    query[name] = before === undefined ? value : [before, value].flat()
  }
  return query as Record<string, string>
}

const splitOnce = (text: string, mark: string): string[] => {
  const at = text.indexOf(mark)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return refuse('malformed-request')
  }
}
