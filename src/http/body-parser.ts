import { Elysia } from 'elysia'
import { TextBody } from '../schema/body.ts'
import { depthDetail, exceedsDepth } from './json-depth.ts'
import { findJsonError } from './json-error.ts'
import {
  ProblemError,
  throwInvalidRequest,
  throwMalformedRequest,
  throwProblem,
  toJsonPointer,
} from './problem.ts'
import { parseQuery } from './query-parser.ts'
import type { RequestContexts } from './request-context.ts'
import { unknownParameter } from './validation-errors.ts'

/**
 * Parses bodies and queries, in place of Elysia's parsers.
 *
 * Those read unknown media types as JSON, replace invalid UTF-8, split query values at commas and keep the
 * last of two equal parameters. Here a body that is not JSON is 415, and one that does not parse is 400.
 */
export const createBodyParser = (contexts: RequestContexts) =>
  new Elysia({ name: 'body-parser' })
    // Wrapped, because `undefined` makes Elysia try the next parser.
    .onParse({ as: 'global' }, async ({ request }) => {
      const { accepts, bodyBytesMax } = contexts.of(request)
      return { parsed: await parseBody(request, accepts, bodyBytesMax) }
    })
    .onTransform({ as: 'global' }, (context) => {
      const { request, qi, url } = context as typeof context & { qi: number; url: string }
      if (isParsed(context.body)) context.body = context.body.parsed
      if (!request.url.includes('?')) return
      context.query = parseQuery(url, qi)
      const [unknown] = contexts.of(request).hasQuerySchema ? [] : Object.keys(context.query)
      if (unknown !== undefined)
        throwInvalidRequest(toJsonPointer(unknown), unknownParameter, 'query')
    })

const isParsed = (body: unknown): body is { parsed: unknown } =>
  typeof body === 'object' && body !== null && 'parsed' in body

const parseBody = async (request: Request, accepts: readonly string[], bytesMax: number) => {
  const bytes = await readBytes(request, bytesMax).catch(throwMalformed)
  const contentType = request.headers.get('content-type')
  if (bytes.length === 0 && contentType === null) return undefined
  const mediaType = mediaTypeOf(contentType)
  const refuse = (header: string, detail: string) =>
    throwProblem('unsupported-media-type', {
      headers: { accept: accepts.join(', ') },
      errors: [{ in: 'header', pointer: `/${header}`, detail }],
    })
  if (!accepts.includes(mediaType)) refuse('content-type', `must be ${accepts.join(' or ')}`)
  if (!hasAcceptedCharset(contentType, mediaType)) refuse('content-type', 'must have charset=utf-8')
  if (request.headers.has('content-encoding'))
    refuse('content-encoding', 'is not supported: send the body without compression')
  // Empty NDJSON or CSV is an import without tasks; empty JSON is no body.
  if (bytes.length === 0 && isJson(mediaType)) return undefined

  const text = decodeText(bytes, mediaType)
  if (mediaType === 'application/x-www-form-urlencoded') return new URLSearchParams(text)
  if (!isJson(mediaType)) return new TextBody(mediaType, text)
  const body = parseJson(text)
  if (exceedsDepth(text)) throwInvalidRequest('', depthDetail)
  return body
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    const position = findJsonError(text)
    const where = position ? ` at line ${position.line}, column ${position.column}` : ''
    return throwMalformedRequest('body', '', `is not valid JSON${where}`)
  }
}

const isJson = (mediaType: string) => /[/+]json$/.test(mediaType)

const mediaTypeOf = (contentType: string | null): string =>
  (contentType ?? '').split(';', 1).join().trim().toLowerCase()

/** Other parameters are ignored. Text is UTF-8 (RFC 8259 §8.1); CSV may also be UTF-16, as spreadsheets write it. */
const hasAcceptedCharset = (contentType: string | null, mediaType: string): boolean => {
  const [, ...parameters] = (contentType ?? '').toLowerCase().split(';')
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='))
  const accepted = mediaType === 'text/csv' ? /^charset="?utf-?(8|16)"?$/ : /^charset="?utf-?8"?$/
  return charset === undefined || accepted.test(charset)
}

const decodeText = (bytes: Uint8Array, mediaType: string): string => {
  const encoding = (mediaType === 'text/csv' && utf16Of(bytes)) || 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return throwMalformedRequest('body', '', `is not valid ${encoding.toUpperCase()}`)
  }
}

/** The UTF-16 encoding that a byte order mark announces. */
const utf16Of = ([first, second]: Uint8Array) => {
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined
}

/** The whole body, or 413 as soon as it exceeds the limit. `Content-Length` may be absent or wrong. */
const readBytes = async (request: Request, bytesMax: number): Promise<Uint8Array> => {
  if (request.body === null) return new Uint8Array()
  if (request.headers.has('content-length')) return request.bytes()

  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.length
    if (length > bytesMax) throwProblem('body-too-large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A client that disconnects in the middle of a body has sent a malformed request. */
const throwMalformed = (error: unknown): never => {
  if (error instanceof ProblemError) throw error
  return throwMalformedRequest('body', '', 'is incomplete')
}
