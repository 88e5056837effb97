import { Elysia } from 'elysia'
import { TextBody } from '../schema/types.ts'
import { depthDetail, exceedsDepth } from './json-depth.ts'
import { ProblemError, throwInvalidRequest, throwProblem, toJsonPointer } from './problem.ts'
import type { RequestContexts } from './request-context.ts'
import { unknownParameter } from './validation-errors.ts'

/**
 * Reads bodies and queries, in place of Elysia's own parsers.
 *
 * Those take any body whose media type they do not know for JSON, replace invalid
 * UTF-8, split query values at commas and keep the last of two equal parameters.
 * Here what is not JSON is 415, what does not parse 400, and a parameter given
 * twice is a list, which only a schema that asks for a list accepts.
 */
export const createBodyParser = (contexts: RequestContexts) =>
  new Elysia({ name: 'intake' })
    // Wrapped, because Elysia takes `undefined` for "try the next parser".
    .onParse({ as: 'global' }, async ({ request }) => {
      const { accepts, bodyMax } = contexts.of(request)
      return { read: await parseBody(request, accepts, bodyMax) }
    })
    .onTransform({ as: 'global' }, (context) => {
      const { request, qi, url } = context as typeof context & { qi: number; url: string }
      if (isParsed(context.body)) context.body = context.body.read
      if (!request.url.includes('?')) return
      context.query = parseQuery(url, qi)
      const [unknown] = contexts.of(request).takesQuery ? [] : Object.keys(context.query)
      if (unknown !== undefined)
        throwInvalidRequest(toJsonPointer(unknown), unknownParameter, 'query')
    })

const isParsed = (body: unknown): body is { read: unknown } =>
  typeof body === 'object' && body !== null && 'read' in body

const parseBody = async (request: Request, accepts: readonly string[], bodyMax: number) => {
  const bytes = await readBytes(request, bodyMax).catch(throwMalformed)
  const type = request.headers.get('content-type')
  if (bytes.length === 0 && type === null) return undefined
  if (!isAccepted(type, accepts) || request.headers.has('content-encoding'))
    throwProblem('unsupported-media-type')
  const essence = mediaTypeOf(type)
  // Of a format of its own, nothing is something: an export without tasks.
  if (bytes.length === 0 && /[/+]json$/.test(essence)) return undefined

  const text = decodeUtf8(bytes)
  if (essence === 'application/x-www-form-urlencoded') return new URLSearchParams(text)
  if (!/[/+]json$/.test(essence)) return new TextBody(essence, text)
  const body = parseJson(text)
  if (exceedsDepth(text)) throwInvalidRequest('', depthDetail)
  return body
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return throwProblem('malformed-request')
  }
}

const mediaTypeOf = (type: string | null): string =>
  (type ?? '').split(';', 1).join().trim().toLowerCase()

/** Parameters of a media type are nobody's business but `charset`, which has one value for JSON (RFC 8259). */
const isAccepted = (type: string | null, accepts: readonly string[]): boolean => {
  const [, ...parameters] = (type ?? '').toLowerCase().split(';')
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='))
  return (
    accepts.includes(mediaTypeOf(type)) &&
    (charset === undefined || /^charset="?utf-?8"?$/.test(charset))
  )
}

const decodeUtf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return throwProblem('malformed-request')
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
    if (length > bodyMax) throwProblem('body-too-large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Whoever hangs up in the middle of a body has sent half of one: that is no error of ours. */
const throwMalformed = (error: unknown): never => {
  if (error instanceof ProblemError) throw error
  return throwProblem('malformed-request')
}

const parseQuery = (url: string, at: number): Record<string, string> => {
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
    return throwProblem('malformed-request')
  }
}
