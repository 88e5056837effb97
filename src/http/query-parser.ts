import { throwMalformedRequest, toJsonPointer } from './problem.ts'

/** Unlike Elysia's parser, commas do not split a value, and a repeated parameter becomes a list. */
export type Query = Record<string, string>

/** Parses the query that starts after the `?` at `questionMarkAt`; 400 for invalid percent-encoding. */
export const parseQuery = (url: string, questionMarkAt: number): Query => {
  const query: Record<string, string | string[]> = Object.create(null)
  for (const part of url.slice(questionMarkAt + 1).split('&')) {
    if (part === '') continue
    const [rawName = '', rawValue = ''] = splitOnce(part, '=')
    const name = decode(rawName, '')
    const value = decode(rawValue, toJsonPointer(name))
    const before = query[name]
    query[name] = before === undefined ? value : [before, value].flat()
  }
  // A list is not a string: only a schema that asks for a list accepts it.
  return query as Query
}

const splitOnce = (text: string, mark: string): string[] => {
  const at = text.indexOf(mark)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

const decode = (text: string, pointer: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return throwMalformedRequest('query', pointer, 'has invalid percent-encoding')
  }
}
