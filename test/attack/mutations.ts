import type { Random } from '../support/walk-pages.ts'
import { texts } from './corpus.ts'

// biome-ignore lint/suspicious/noExplicitAny: any value that a client may send
type Json = any

/** Written verbatim, because JSON.stringify cannot express it. */
const raw = (text: string) => `§raw§${text}§`
const written = (value: Json): string =>
  (JSON.stringify(value) ?? 'null').replace(/"§raw§(.*?)§"/gs, (_, text) => JSON.parse(`"${text}"`))

const lengths = [0, 1, 2, 49, 50, 51, 99, 100, 101, 127, 128, 129, 199, 200, 201, 253, 254, 255]
const long = [499, 500, 501, 502, 8192, 9999, 10_000, 10_001, 30_000]
const numbers = ['1e400', '-1e400', '-0', '9007199254740993', '1e-400', '0.1', '01', '1E3', '0x10']
const unknown = [
  '__proto__',
  'constructor',
  'prototype',
  'user_id',
  'id',
  'version',
  'role',
  'deleted_at',
  'toString',
  '',
  ' ',
  'Title',
  'title ',
  'title\0',
  '$where',
  '😀',
  '\ud800',
  'x'.repeat(3000),
]

const nested = (depth: number, random: Random): Json => {
  let value: Json = 1
  const isArray = random.chance(50)
  for (let level = 0; level < depth; level++) value = isArray ? [value] : { a: value }
  return value
}

const hostile = (random: Random, was: Json): Json =>
  random.of<() => Json>([
    () => null,
    () => random.chance(50),
    () => random.of([0, 1, -1, 1.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e21]),
    () => raw(random.of(numbers)),
    () => random.of(texts),
    () => random.of(['a', '😀', 'é', ' ', '\0']).repeat(random.of(lengths)),
    () => random.of(['a', '😀', '\u202e']).repeat(random.of(random.chance(20) ? long : lengths)),
    () => [],
    () => ({}),
    () => [was],
    () => ({ a: was }),
    () => (typeof was === 'object' ? '[object Object]' : String(was)),
    () => (typeof was === 'string' ? was.toUpperCase() : JSON.stringify(was)),
    () => (Array.isArray(was) ? [...was, ...was] : [was, was]),
    () => Array.from({ length: random.of([20, 21, 50, 100, 101, 500]) }, (_, at) => `t${at}`),
    () => nested(random.of([3, 30, 31, 32, 33, 100, 5000]), random),
    () => random.of(['2026-02-30T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59']),
    () => random.of(['2026-11-21', '2026-11-21T10:00Z', '1795238893', '+12026-01-01T00:00:00Z']),
  ])()

type Place = { parent: Json; key: string | number }
const placesIn = (value: Json, found: Place[] = [], depth = 0): Place[] => {
  if (typeof value !== 'object' || value === null || depth > 6) return found
  for (const key of Object.keys(value)) {
    found.push({ parent: value, key })
    placesIn(value[key], found, depth + 1)
  }
  return found
}

/** A mutated value, as the text of a body. */
export const bentJson = (good: Json, random: Random): string => {
  const holder = { root: structuredClone(good) }
  for (let changes = random.below(3); changes >= 0; changes--) {
    const { parent, key } = random.of(placesIn(holder))
    random.of([
      () => {
        parent[key] = hostile(random, parent[key])
      },
      () => {
        parent[key] = hostile(random, parent[key])
      },
      () => {
        if (Array.isArray(parent)) parent.splice(Number(key), 1)
        else if (key !== 'root') delete parent[key]
      },
      () => {
        const at = typeof parent[key] === 'object' && parent[key] !== null ? parent[key] : parent
        if (at === holder || Array.isArray(at)) return
        const value = random.chance(50) ? 1 : hostile(random, 'x')
        Object.defineProperty(at, random.of(unknown), {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      },
    ])()
  }
  const text = written(holder.root)
  return random.chance(15) ? bentText(text, random) : text
}

/** A text that may no longer be JSON. */
const bentText = (text: string, random: Random): string => {
  const at = random.below(text.length + 1)
  return random.of<() => string>([
    () => text.slice(0, at),
    () =>
      text.slice(0, at) +
      random.of(['\0', '\u0001', '"', '}', ']', ',', '\\', '\ufeff', '//x']) +
      text.slice(at),
    () => `\ufeff${text}`,
    () => ` \n\t${text}\r\n `,
    () => `${text}${text}`,
    () => text.replace('{', '{"title":"first","title":"second",'),
    () => text.replace('{', '{"completed":1,"tags":0,'),
    () => text.replace('}', ',}'),
    () => text.replaceAll('"', "'"),
    () => text.replace(/:.*?([,}])/, ':NaN$1'),
    () => text.replace(/\\?"/, '\\ud83d"'),
    () => '['.repeat(random.of([31, 33, 20_000])),
    () => '{"a":'.repeat(random.of([33, 8000])),
    () => '',
    () => `{${Array.from({ length: 5000 }, (_, member) => `"k${member}":1`).join(',')}}`,
  ])()
}

/** The bytes of a text, which may no longer be UTF-8. */
export const bentBytes = (text: string, random: Random): Uint8Array => {
  const bytes = Buffer.from(text)
  const at = random.below(bytes.length + 1)
  const odd = random.of([
    [0xff],
    [0xc0, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2, 0x82],
    [0x80],
    [0xfe, 0xff],
  ])
  if (random.chance(20)) return new Uint8Array(Buffer.from(text, 'utf16le'))
  return new Uint8Array(
    Buffer.concat([bytes.subarray(0, at), Buffer.from(odd), bytes.subarray(at)]),
  )
}

export const mediaTypes = [
  'application/json; charset=utf-8',
  'application/json;charset=utf-16',
  'application/json; charset="UTF-8"',
  'application/jsonevil',
  'application/merge-patch+json',
  'application/problem+json',
  'text/json',
  'text/plain',
  'text/xml',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'application/x-www-form-urlencoded',
  'application/x-ndjson',
  'text/csv',
  'application/octet-stream',
  '*/*',
  'json',
  ' ',
  ';',
  'application/json, text/plain',
  'APPLICATION/JSON',
  'application/json ;x=y',
]
