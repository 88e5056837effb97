import { afterAll, expect, test } from 'bun:test'
import { rowsOf, service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { wrongsOf } from './oracle.ts'
import { notes, totals } from './totals.ts'
import { answersIn, held, isBare, listening, sendInTurn, sendRaw } from './wire.ts'

const here = await service({ RATE_LIMIT: '1000000' })
const { port, origin, stop } = listening(here)
afterAll(stop)

const json = 'Content-Type: application/json'
const lanes = 40

const bearer = (token: string) => `Authorization: Bearer ${token}`
/** A complete request that must have no effect. */
const hidden = (token: string, title: string) => {
  const body = JSON.stringify({ title })
  return `POST /api/tasks HTTP/1.1\r\nHost: x\r\n${bearer(token)}\r\n${json}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

/** Header lines that some parsers take for chunked encoding and others do not. */
const encodings = [
  'Transfer-Encoding: chunked',
  'transfer-encoding:chunked',
  'TRANSFER-ENCODING: CHUNKED',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding:',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding: \r\n\tchunked',
  'X: y\r\n Transfer-Encoding: chunked',
  ' Transfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\n',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: chunked\x0c',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding\0: chunked',
  'Transfer-\0Encoding: chunked',
  'Transfer-Encoding: chun\0ked',
  'Transfer-Encoding: chunke\xc4\x91',
  'Transfer-Encoding;: chunked',
  'Transfer-Encoding chunked',
  'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
]

/** Header lines with a length in another notation than digits, once. */
const lengths = (right: number): string[] => [
  `Content-Length: ${right}\r\nContent-Length: 0`,
  `Content-Length: 0\r\nContent-Length: ${right}`,
  `Content-Length: ${right}, 0`,
  `Content-Length: 0, ${right}`,
  `Content-Length: +${right}`,
  'Content-Length: -1',
  'Content-Length: -0',
  `Content-Length: 0x${right.toString(16)}`,
  `Content-Length: ${right}e0`,
  `Content-Length: ${right}.0`,
  'Content-Length: 0 0',
  'Content-Length: 1 0',
  'Content-Length: 18446744073709551616',
  'Content-Length: 99999999999999999999999',
  'Content-Length: 4294967296',
  'Content-Length: 9223372036854775808',
  `Content-Length : ${right}`,
  'Content-Length : 0',
  'Content-Length:\x0b0',
  'Content-Length: 0\0',
  'Content-Length\0: 0',
  'Content-Length: ٠',
  'Content-Length: "0"',
  'Content-Length: 0;',
  'Content-Length: ,0',
  'X: y\r\n Content-Length: 0',
  'Content-Length:\r\n 0',
  ' Content-Length: 0',
  'X: y\nContent-Length: 0',
]

/** Chunk sizes that parsers read differently. */
const chunks = (inner: string): string[] => {
  const size = inner.length.toString(16)
  return [
    `0x${size}\r\n${inner}\r\n0\r\n\r\n`,
    `+${size}\r\n${inner}\r\n0\r\n\r\n`,
    `-1\r\n${inner}\r\n0\r\n\r\n`,
    `${size} \x0b\r\n${inner}\r\n0\r\n\r\n`,
    `${size}g\r\n${inner}\r\n0\r\n\r\n`,
    `1${size.padStart(16, '0')}\r\n${inner}\r\n0\r\n\r\n`,
    `ffffffffffffffff\r\n${inner}\r\n0\r\n\r\n`,
    `fffffffffffffff0\r\n${inner}\r\n0\r\n\r\n`,
    `${size};a="\r\n${inner}\r\n0\r\n\r\n`,
    `${size}\n${inner}\r\n0\r\n\r\n`,
    `${size}\r${inner}\r\n0\r\n\r\n`,
    `${size}\r\n${inner}0\r\n\r\n`,
    `${size}\r\n${inner}\n0\r\n\r\n`,
    `${size};\n0\r\n\r\n${inner}`,
    `1;a=\n\r\n${inner}\r\n0\r\n\r\n`,
    `0;\n\r\n${inner}`,
    `\r\n0\r\n\r\n${inner}`,
    `;0\r\n\r\n${inner}`,
    `1\r\nZZ${inner}\r\n0\r\n\r\n`,
    `2\r\n{}${inner}`,
    ` 0\r\n\r\n${inner}`,
    `0_0\r\n\r\n${inner}`,
    `0\n\n${inner}`,
    `0\r\nX${inner}`,
    `0\r\n X: y\r\n\r\n${inner}`,
  ]
}

type Smuggled = { name: string; text: string }

/** Requests that contain another request, which some parsers see and others do not. */
const smuggled = (token: string, titleOf: () => string): Smuggled[] => {
  const start = `POST /api/auth/refresh HTTP/1.1\r\nHost: x\r\n${bearer(token)}\r\n${json}`
  const within = () => hidden(token, titleOf())
  const both = encodings.flatMap((line) => {
    const one = within()
    const body = `0\r\n\r\n${one}`
    const other = within()
    const chunk = `${other.length.toString(16)}\r\n${other}\r\n0\r\n\r\n`
    const short = chunk.indexOf('\r\n') + 2
    return [
      {
        name: `CL.TE ${line}`,
        text: `${start}\r\nContent-Length: ${body.length}\r\n${line}\r\n\r\n${body}`,
      },
      {
        name: `TE.CL ${line}`,
        text: `${start}\r\n${line}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      },
      ...(isEncoding(line)
        ? [
            {
              name: `short CL ${line}`,
              text: `${start}\r\nContent-Length: ${short}\r\n${line}\r\n\r\n${chunk}`,
            },
            { name: `no CL ${line}`, text: `${start}\r\n${line}\r\n\r\n${chunk}` },
          ]
        : []),
    ]
  })
  const lengthsOnly = lengths(within().length).map((line) => ({
    name: line,
    text: `${start}\r\n${line}\r\n\r\n${within()}`,
  }))
  const chunked = chunks(within()).map((_, at) => {
    const body = chunks(within())[at] ?? ''
    return {
      name: `chunk ${JSON.stringify(body.slice(0, 20))}`,
      text: `${start}\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    }
  })
  const lines = ['\n', '\r', '\r\r\n', '\n\r\n', '\0\r\n', '\x0b\r\n'].map((end) => ({
    name: `line end ${JSON.stringify(end)}`,
    text: `${start}${end}Content-Length: 0${end}X: ${end}${end}${within()}`,
  }))
  // The request is refused before its body is read. The unread bytes still are a body.
  const unread = [
    'POST /nothing',
    'POST /api/auth/me',
    'PUT /api/tasks',
    'POST /api/tasks',
  ].flatMap((target) =>
    ['', `${bearer(token)}x\r\n`].flatMap((auth) => {
      const head = `${target} HTTP/1.1\r\nHost: x\r\n${auth}`
      const [one, other, last] = [within(), within(), within()]
      const rest = 'x'.repeat(70_000 - last.length)
      return [
        { name: `unread ${target}`, text: `${head}Content-Length: ${one.length}\r\n\r\n${one}` },
        {
          name: `unread, in chunks ${target}`,
          text: `${head}Transfer-Encoding: chunked\r\n\r\n${other.length.toString(16)}\r\n${other}\r\n0\r\n\r\n`,
        },
        {
          name: `unread, too large ${target}`,
          text: `${head}Content-Length: 70000\r\n\r\n${last}${rest}`,
        },
      ]
    }),
  )
  return [...both, ...lengthsOnly, ...chunked, ...lines, ...unread]
}

/** Whether a parser that follows the RFC takes the line for chunked encoding or must refuse it. */
const isEncoding = (line: string) =>
  !/^( |X: |Transfer-Encoding(;| chunked))/.test(line) && !/[\0]/.test(line.split(':')[0] ?? '')

test('a request hidden in another one has no effect, and each request gets at most one response', async () => {
  const count = totals('sockets', 'sockets: one request hidden in another')
  const ada = await here.someone()
  let numbered = 0
  const names = new Map<string, string>()
  const variants = smuggled(ada.token, () => `hidden-${++numbered}-end`)
  for (const { name, text } of variants)
    for (const [title] of text.matchAll(/hidden-\d+-end/g)) names.set(title, name)
  const accepted = new Set<number>()

  await eachCase('smuggling', variants.length, lanes, async (_, at) => {
    const { name, text } = variants[at] as Smuggled
    const received = await sendRaw(port, text)
    const answers = answersIn(received)
    if (typeof answers === 'string') return count.wrong(`${answers}: ${name}`, at)
    const [first] = answers
    count.tried(first === undefined || first.status >= 400)
    for (const answer of answers)
      if (!isBare(answer)) count.allWrong(wrongsOf(answer, { canaries: [ada.password] }), name, at)
    // The parser may refuse the remaining bytes afterwards.
    const ours = answers.filter((answer) => !isBare(answer))
    if (ours.length > 1)
      count.wrong(`${ours.length} answers: ${name}: ${JSON.stringify(text.slice(0, 400))}`, at)
    if (ours.length === 1) accepted.add(at)
  })

  const { tasks } = await rowsOf(ada.id)
  for (const { title } of tasks) count.wrong(`carried out: ${names.get(title)}`)
  notes.push(`smuggling: ${accepted.size} of ${variants.length} variants were read as one request`)
  count.matches()
  expect((await fetch(`${origin}/health`)).status).toBe(200)
})

/** A valid request; the last one of a connection closes it. */
const plainRequest = (token: string, random: Random, isLast: boolean) => {
  const title = `p${Bun.randomUUIDv7()}`
  const body = JSON.stringify({ title })
  const size = random.below(body.length - 1) + 1
  const extension = random.of(['', ';a=b', ';a="b"', ';a'])
  const chunks = [body.slice(0, size), body.slice(size)]
    .map((one) => `${one.length.toString(16)}${extension}\r\n${one}\r\n`)
    .join('')
  const head = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: x\r\n${bearer(token)}\r\n${isLast ? 'Connection: close\r\n' : ''}`
  const bare = (method: string, path: string) => ({
    method,
    title: undefined,
    text: `${head(method, path)}\r\n`,
  })
  const adding = (rest: string) => ({
    method: 'POST',
    title,
    text: `${head('POST', '/api/tasks')}${json}\r\n${rest}`,
  })
  return random.of([
    () => bare('GET', '/api/auth/me'),
    () => bare('HEAD', '/api/auth/me'),
    () => bare('GET', '/nothing'),
    () => bare('OPTIONS', '/api/tasks'),
    () => adding(`Content-Length: ${body.length}\r\n\r\n${body}`),
    () => adding(`Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`),
  ])()
}

test('requests on one connection get their responses in order, also if they are sent at once', async () => {
  const count = totals('sockets', 'sockets: many requests on one connection')
  const ada = await here.someone()
  const wanted: string[] = []
  const acknowledged: string[] = []
  let cutOff = 0

  await eachCase('connections', budget(200, 3000), lanes, async (random, at) => {
    const length = 1 + random.below(6)
    const requests = Array.from({ length }, (_, place) =>
      plainRequest(ada.token, random, place === length - 1),
    )
    const text = requests.map((one) => one.text).join('')
    const cut = random.below(text.length)
    const isInTurn = random.chance(50)
    wanted.push(...requests.flatMap(({ title }) => title ?? []))
    let isLeftOpen = false
    const waiting = { quietMs: 20_000, gapMs: 1, onQuiet: () => (isLeftOpen = true) }

    const received = isInTurn
      ? await sendInTurn(port, requests, waiting)
      : await sendRaw(port, [text.slice(0, cut), text.slice(cut)], waiting)

    const answers = answersIn(
      received,
      requests.map(({ method }) => method),
    )
    const what = `${isInTurn ? 'in turn' : 'in one go'}: ${text}: ${received}`
    count.tried(false)
    if (isLeftOpen) count.wrong(`never closed: ${what}`, at)
    if (typeof answers === 'string') return count.wrong(`${answers}: ${what}`, at)
    // Bun closes the connection of a client that does not wait for a slow response.
    if (answers.length < length) cutOff++
    if (answers.length > length || (isInTurn && answers.length < length))
      count.wrong(`${answers.length} answers to ${length}: ${what}`, at)
    answers.forEach((answer, place) => {
      const { title } = requests[place] ?? {}
      count.allWrong(wrongsOf(answer, { canaries: [ada.password] }), what, at)
      if ((answer.status === 201 ? answer.body.title : undefined) !== title)
        count.wrong(`the answer to another request: ${what}`, at)
      if (title !== undefined) acknowledged.push(title)
    })
  })

  const kept = (await rowsOf(ada.id)).tasks.map(({ title }) => title)
  notes.push(`requests in one go: ${cutOff} of ${count.row.tried} connections were cut off`)
  count.matches()
  expect(new Set(kept).size).toBe(kept.length)
  expect(kept.filter((title) => !wanted.includes(title))).toEqual([])
  expect(acknowledged.filter((title) => !kept.includes(title))).toEqual([])
})

const oddMethods = [
  ...['POST', 'TRACE', 'TRACK', 'CONNECT', 'DEBUG', 'PRI', 'PROPFIND', 'PATCH', 'OPTIONS', 'HEAD'],
  ...[
    'get',
    'GE T',
    'G\0T',
    '\xd0\x93',
    '',
    'X'.repeat(300),
    'M-SEARCH',
    '\x16\x03\x01',
    '\r\nGET',
  ],
]
const oddTargets = [
  ...['/health', '*', '', '/', '//', 'api/tasks', 'http://evil/api/tasks', 'http://', 'evil:443'],
  ...[
    'https://x:99999/',
    'http://a@b:1/health',
    'file:///etc/passwd',
    '/api/tasks#x',
    '/api/tasks?#',
  ],
  ...[
    '/%',
    '/%00',
    '/\0',
    '/\x7f',
    '/\xe9',
    '/api/../health',
    '/api/./tasks',
    '/api\\tasks',
    '\\\\x\\y',
  ],
  ...[
    '/../../etc/passwd',
    '/..%2f..%2fetc',
    '/%2e%2e/%2e%2e',
    '/docs/../../src/main.ts',
    '/;/health',
  ],
  ...[
    '/docs/%2e%2e/package.json',
    '/health HTTP/1.1\r\nX: y',
    '/health HTTP/9.9',
    '/api/tasks/%ff',
  ],
  ...[
    `/${'a'.repeat(20_000)}`,
    `/?${'a=b&'.repeat(5000)}`,
    '/api/tasks?limit=1&limit=2',
    '/api/tasks??',
  ],
]
const oddVersions = [
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1.2',
  'http/1.1',
  'HTTP/1.',
  'HTTPS/1.1',
  '',
  'HTTP/1.1 x',
]
const oddHosts = [
  ...[
    '',
    'Host:',
    'Host: ',
    'Host: a\r\nHost: b',
    'Host: a, b',
    'Host: [::1]',
    'Host: [',
    'Host: a:b',
  ],
  ...[
    'Host: a/b?c#d',
    'Host: a b',
    'Host: \xe9',
    'Host: \0',
    'Host: @',
    'Host: x\r\n y',
    'Host: -',
  ],
  ...['Host: localhost/health', 'Host: %00', 'Host : x', 'Host: ..', `Host: ${'x'.repeat(5000)}`],
  ...['Host: localhost/health?', 'Host: localhost/api/auth/me#', 'Host: x\r\nhost: y\r\nHOST: z'],
]
const oddHeaders = (token: string) => [
  ...[
    `X: ${'a'.repeat(16_384)}`,
    `X: ${'a'.repeat(200_000)}`,
    ': y',
    'X',
    'X\0: y',
    'X: \x01',
    '\r\n\r\n',
  ],
  ...[200, 20_000].map((count) =>
    Array.from({ length: count }, (_, at) => `X${at}: y`).join('\r\n'),
  ),
  ...[`${bearer(token)}\r\n${bearer(token)}`, `${bearer(token)}, x`, `Proxy-${bearer(token)}`],
  ...[
    'X-Request-Id: a\rb',
    'X-Request-Id: a\nb',
    'X-Request-Id: a\0b',
    'X-Request-Id: \xe9',
    'Cookie: a=b',
  ],
  ...[
    'Expect: 100-continue',
    'Expect: x',
    'Upgrade: h2c\r\nConnection: Upgrade',
    'Range: bytes=0-1',
  ],
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13',
  ...[
    'Connection: close, X-Request-Id',
    'Connection: Authorization',
    'Accept-Encoding: x',
    'TE: trailers',
  ],
  ...[
    'X-HTTP-Method-Override: DELETE',
    'X-Original-URL: /api/auth/me',
    'X-Rewrite-URL: /api/auth/me',
  ],
  ...[
    'Max-Forwards: 0',
    'Content-Length: 0',
    'Content-Type: \xff',
    'If-None-Match: \xff',
    'Accept: \0',
  ],
]
const oddEnds = ['\n\n', '\r\r', '\r\n', '\r\n\r\n\r\n\r\n', '\r\n\0\r\n']

/** A head with one or two unusual parts, and an empty body. */
const oddHead = (token: string, random: Random): string => {
  const oddities = new Set([random.below(6), random.below(6)])
  const part = (at: number, usual: string, odd: readonly string[]) =>
    oddities.has(at) ? random.of(odd) : usual
  const method = part(0, 'GET', oddMethods)
  const target = part(1, random.of(['/api/tasks', '/api/auth/me', '/health']), oddTargets)
  const first = `${method} ${target} ${part(2, 'HTTP/1.1', oddVersions)}`
  const lines = [first, part(3, 'Host: x', oddHosts), part(4, 'X: y', oddHeaders(token))]
  const auth = random.chance(70) ? [bearer(token)] : []
  return `${[...lines, ...auth].join('\r\n')}${part(5, '\r\n\r\n', oddEnds)}`
}

test('an unusual request head gets at most one response, and has no effect', async () => {
  const count = totals('sockets', 'sockets: unusual methods, targets, hosts and headers')
  const ada = await here.someone()
  await ada.call('POST', '/api/tasks', { title: 'one' })
  const before = await rowsOf(ada.id)

  await eachCase('heads', budget(600, 10_000), lanes, async (random, at) => {
    const text = oddHead(ada.token, random)
    const received = await sendRaw(port, text, { quietMs: 400 })
    const method = text.split(' ')[0] ?? ''
    const answers = answersIn(received, [method, method, method])
    const what = JSON.stringify(
      text.length > 700 ? `${text.slice(0, 350)}…${text.slice(-350)}` : text,
    )
    if (typeof answers === 'string') return count.wrong(`${answers}: ${what}`, at)
    const ours = answers.filter((answer) => !isBare(answer))
    count.tried(ours.every(({ status }) => status >= 400))
    if (ours.length > 1) count.wrong(`${ours.length} answers: ${what}`, at)
    for (const answer of ours)
      count.allWrong(wrongsOf(answer, { canaries: [ada.password, ada.token] }), what, at)
    const isMine = ours.some(
      ({ status, text: acknowledged }) => status < 300 && acknowledged.includes(ada.id),
    )
    if (isMine && !text.includes('Bearer'))
      count.wrong(`accepted without a valid token: ${what}`, at)
  })

  expect(await rowsOf(ada.id)).toEqual(before)
  count.matches()
  expect((await fetch(`${origin}/health`)).status).toBe(200)
})

test('a body of 64 KiB is accepted, and one more byte is 413, with and without chunks', async () => {
  const count = totals('sockets', 'sockets: bodies at the limit')
  const ada = await here.someone()
  const bodyOf = (bytes: number) => `{"title":"x"}${' '.repeat(bytes - 13)}`
  const head = `POST /api/tasks HTTP/1.1\r\nHost: x\r\n${bearer(ada.token)}\r\n${json}\r\nConnection: close\r\n`
  const inChunks = (body: string, size: number) =>
    `${(body.match(new RegExp(`.{1,${size}}`, 'gs')) ?? []).map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join('')}0\r\n\r\n`
  const sent = (bytes: number): [string, string][] => [
    ['a length', `${head}Content-Length: ${bytes}\r\n\r\n${bodyOf(bytes)}`],
    ...[1000, 16_384, 65_536, 70_000].map((size): [string, string] => [
      `chunks of ${size}`,
      `${head}Transfer-Encoding: chunked\r\n\r\n${inChunks(bodyOf(bytes), size)}`,
    ]),
  ]

  for (const [bytes, status] of [
    [65_535, 201],
    [65_536, 201],
    [65_537, 413],
    [90_000, 413],
  ] as const)
    for (const [how, text] of sent(bytes)) {
      const answers = answersIn(await sendRaw(port, text, { quietMs: 20_000 }))
      if (typeof answers === 'string') {
        count.wrong(`${answers}: ${bytes} in ${how}`)
        continue
      }
      count.tried(status >= 400)
      if (answers.length !== 1 || answers[0]?.status !== status)
        count.wrong(`${answers.map((one) => one.status)}, not ${status}: ${bytes} bytes in ${how}`)
      for (const answer of answers) count.allWrong(wrongsOf(answer), `${bytes} in ${how}`)
    }

  expect((await rowsOf(ada.id)).tasks).toHaveLength(10)
  count.matches()
})

test('1 000 slow senders do not delay other clients', async () => {
  const count = totals('sockets', 'sockets: a normal client beside slow ones')
  const ada = await here.someone()
  const starts = [
    'GET /api/tasks HTTP/1.1\r\nHost: x\r\nX: ',
    `POST /api/tasks HTTP/1.1\r\nHost: x\r\n${bearer(ada.token)}\r\n${json}\r\nContent-Length: 60000\r\n\r\n{`,
    `POST /api/tasks HTTP/1.1\r\nHost: x\r\n${bearer(ada.token)}\r\n${json}\r\nTransfer-Encoding: chunked\r\n\r\n1`,
    'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\nContent-Type: application/json\r\n\r\n{',
    'G',
    '',
  ]
  const slow = await Promise.all(Array.from({ length: 1000 }, () => held(port)))
  slow.forEach((socket, at) => void socket.write(starts[at % starts.length] ?? ''))
  const drip = setInterval(() => {
    for (const socket of slow) socket.write('a')
  }, 200)

  const took: number[] = []
  for (let round = 0; round < budget(200, 2000); round++) {
    const from = performance.now()
    const response = await fetch(`${origin}/api/tasks`, {
      headers: { authorization: `Bearer ${ada.token}` },
    })
    took.push(performance.now() - from)
    count.tried(response.status >= 400)
    if (response.status !== 200) count.wrong(`${response.status}`)
    await response.arrayBuffer()
  }
  clearInterval(drip)
  for (const socket of slow) socket.destroy()

  const sorted = took.sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)]?.toFixed(1)
  notes.push(`beside 1 000 slow senders: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
  // Waiting for the slow connections would take until their timeout of 30 s or more.
  if ((sorted.at(-1) ?? 0) > 20_000) count.wrong(`held up for ${sorted.at(-1)} ms`)
  count.matches()
  expect((await rowsOf(ada.id)).tasks).toEqual([])
})
