import { expect, test } from 'bun:test'
import { arrayLiteral } from '../../src/db/params.ts'
import { tasks } from '../../src/db/schema.ts'

const { tags, created_at } = tasks

test.each<[string, string[]]>([
  ['{}', []],
  ['{a}', ['a']],
  ['{a,b}', ['a', 'b']],
  ['{""}', ['']],
  ['{"",a,""}', ['', 'a', '']],
  ['{work,"next week",home}', ['work', 'next week', 'home']],
  ['{"a,b","{c}"}', ['a,b', '{c}']],
  [String.raw`{"say \"so\"",back,"\\"}`, ['say "so"', 'back', '\\']],
  [String.raw`{"\\\"","\"\\"}`, ['\\"', '"\\']],
  ['{"NULL",line\n}', ['NULL', 'line\n']],
])('the array literal %p is parsed', (text, elements) => {
  expect(tags.mapFromDriverValue(text)).toEqual(elements)
})

test('an array of arbitrary texts is read as it was written', () => {
  const marks = ['"', '\\', ',', '{', '}', ' ', 'a', 'ü', '😀', '\n']
  for (let round = 0; round < 2000; round++) {
    const text = () => Array.from({ length: Math.random() * 5 }, () => marks.at(Math.random() * 10))
    const elements = Array.from({ length: Math.random() * 4 }, () => text().join(''))
    expect(tags.mapFromDriverValue(arrayLiteral(elements))).toEqual(elements)
  }
})

test('a truncated array literal is read to its end', () => {
  expect(tags.mapFromDriverValue('{"a}')).toEqual(['a}'])
})

test('equal and different times are read with all their digits', () => {
  const read = [
    ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.2+00', '2026-01-31T12:00:00.200Z'],
    ['2026-01-31 12:00:00.2+00', '2026-01-31T12:00:00.200Z'],
    ['2026-01-31 12:00:00.25+00', '2026-01-31T12:00:00.250Z'],
    ['2026-01-31 12:00:00.257+00', '2026-01-31T12:00:00.257Z'],
    ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00.000Z'],
  ] as const

  expect(read.map(([text]) => created_at.mapFromDriverValue(text))).toEqual(
    read.map(([, instant]) => instant),
  )
})
