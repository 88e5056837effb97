import { describe, expect, test } from 'bun:test'
import { parseTraceparent } from '../../src/http/trace-context.ts'
import { service } from '../support/service.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'
const good = `00-${trace}-${parent}-01`
const known = { traceId: trace, parentId: parent }

describe('traceparent', () => {
  test.each([
    ['the example of the standard', good],
    ['not sampled', `00-${trace}-${parent}-00`],
    ['flags that are not known', `00-${trace}-${parent}-ff`],
    ['the random flag of level 2', `00-${trace}-${parent}-03`],
    ['a later version', `01-${trace}-${parent}-01`],
    ['a later version with more to it', `cc-${trace}-${parent}-01-what-the-future-will-be-like`],
    ['a later version that ends with a dash', `fe-${trace}-${parent}-01-`],
    ['a later version of 512 characters', `01-${trace}-${parent}-01-`.padEnd(512, 'x')],
  ])('is accepted: %s', (_, header) => {
    expect(parseTraceparent(header)).toEqual(known)
  })

  test.each([
    ['nothing', ''],
    ['the version that is forbidden', `ff-${trace}-${parent}-01`],
    ['upper case, version', `0A-${trace}-${parent}-01`],
    ['upper case, trace', `00-${trace.toUpperCase()}-${parent}-01`],
    ['upper case, parent', `00-${trace}-${parent.toUpperCase()}-01`],
    ['upper case, flags', `00-${trace}-${parent}-0A`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${parent}-01`],
    ['a parent of zeros', `00-${trace}-${'0'.repeat(16)}-01`],
    ['a short trace', `00-${trace.slice(1)}-${parent}-01`],
    ['a long trace', `00-${trace}0-${parent}-01`],
    ['a short parent', `00-${trace}-${parent.slice(1)}-01`],
    ['a long parent', `00-${trace}-${parent}0-01`],
    ['no flags', `00-${trace}-${parent}`],
    ['empty flags', `00-${trace}-${parent}-`],
    ['short flags', `00-${trace}-${parent}-1`],
    ['version 00 with more to it', `${good}-more`],
    ['version 00 with a dash at its end', `${good}-`],
    ['a later version with more, but no dash', `01-${trace}-${parent}-01more`],
    ['not hexadecimal', `00-${trace.replace('4', 'g')}-${parent}-01`],
    ['spaces for dashes', good.replaceAll('-', ' ')],
    ['a space in front', ` ${good}`],
    ['a line after it', `${good}\n`],
    ['a line break in what a later version adds', `01-${trace}-${parent}-01-a\n{"level":"error"}`],
    ['two', `${good}, ${good}`],
    ['two, of a later version', `01-${trace}-${parent}-01, 01-${trace}-${parent}-01`],
    ['two, the first with more to it', `01-${trace}-${parent}-01-x,${good}`],
    ['something else', '"; drop table users; --'],
    ['more than anybody would send', `01-${trace}-${parent}-01-`.padEnd(513, 'x')],
  ])('is ignored: %s', (_, header) => {
    expect(parseTraceparent(header)).toBeUndefined()
  })

  test('is ignored with any single character removed, added or changed', () => {
    const strange = [...'-gG \t,\u0000é']
    for (let at = 0; at < good.length; at += 1) {
      const [left, right, rest] = [good.slice(0, at), good.slice(at), good.slice(at + 1)]
      expect(parseTraceparent(left + rest), left + rest).toBeUndefined()
      for (const character of strange) {
        expect(parseTraceparent(left + character + right)).toBeUndefined()
        if (character !== good[at])
          expect(parseTraceparent(left + character + rest)).toBeUndefined()
      }
    }
  })
})

describe('the log', () => {
  const traced = async (headers: Record<string, string> | Headers) => {
    const { app, log } = await service()
    const answer = await app.fetch(new Request('http://localhost/health', { headers }))
    await new Promise(setImmediate)
    const { trace_id, parent_id, status } = log.find(({ event }) => event === 'request') ?? {}
    return { trace_id, parent_id, status, answer }
  }

  test('has the ids of the client’s trace, and the response does not', async () => {
    const { trace_id, parent_id, answer } = await traced({
      traceparent: good,
      tracestate: 'vendor=canary',
    })

    expect([trace_id, parent_id]).toEqual([trace, parent])
    expect(JSON.stringify([...answer.headers]) + (await answer.text())).not.toMatch(
      new RegExp(`${trace}|${parent}|trace|canary`),
    )
  })

  test('has no ids if the header is repeated or invalid, and the request succeeds', async () => {
    const twice = new Headers({ traceparent: good })
    twice.append('traceparent', good)

    for (const headers of [
      twice,
      { traceparent: 'canary' },
      { traceparent: `ff-${trace}-${parent}-01` },
      {},
    ]) {
      const { answer: _, ...line } = await traced(headers)
      expect(line).toEqual({ trace_id: undefined, parent_id: undefined, status: 200 })
    }
  })

  test('has the ids for refused requests too', async () => {
    const { call, log } = await service()

    await call('GET', '/nowhere', { headers: { traceparent: good } })
    await call('GET', '/api/tasks', { headers: { traceparent: good } })
    await new Promise(setImmediate)

    expect(log.map(({ status, trace_id }) => [status, trace_id])).toEqual([
      [404, trace],
      [401, trace],
    ])
  })
})
