import { expect, test } from 'bun:test'
import { type Answer, comparable, service } from '../support/service.ts'
import { budget, eachCase, isLarge } from './budget.ts'
import { leaksIn, wrongsOf } from './oracle.ts'
import { notes, totals } from './totals.ts'
import { listening } from './wire.ts'

const unlimited = {
  RATE_LIMIT: '1000000',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
}

test('of 1 000 concurrent sign-ins, the admitted ones complete, the others are 503, and tasks are served meanwhile', async () => {
  const count = totals('credentials', 'credentials: 1 000 sign-ins at once')
  const here = await service({ ...unlimited, BCRYPT_COST: isLarge ? '12' : '9' })
  const { origin, stop } = listening(here)
  const ada = await here.someone()
  const signIn = async (password: string): Promise<Answer> => {
    const response = await fetch(`${origin}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: ada.email, password }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) }
  }
  let isOver = false
  const took: number[] = []
  const reading = async () => {
    while (!isOver) {
      const from = performance.now()
      const { status } = await fetch(`${origin}/api/tasks`, {
        headers: { authorization: `Bearer ${ada.token}` },
      })
      took.push(performance.now() - from)
      if (status !== 200) count.wrong(`tasks: ${status}`)
    }
  }
  const readers = [reading(), reading()]

  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, at) => signIn(at % 2 === 0 ? ada.password : `wrong ${at}`)),
  )
  isOver = true
  await Promise.all(readers)
  await stop()

  answers.forEach((answer, at) => {
    const what = `sign-in ${at}`
    count.tried(answer.status !== 200)
    count.allWrong(wrongsOf(answer, { canaries: [ada.password], mayBeBusy: true }), what)
    if (![at % 2 === 0 ? 200 : 401, 503].includes(answer.status))
      count.wrong(`${answer.status}: ${what}`)
  })
  count.allWrong(leaksIn(here.log, [ada.password]), 'sign-in')
  const admitted = answers.filter(({ status }) => status !== 503)
  const sorted = took.sort((a, b) => a - b)
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0
  notes.push(
    `1 000 sign-ins at once: ${admitted.length} let in; ${took.length} lists meanwhile, p99 ${p99.toFixed(0)} ms`,
  )
  // The queue has 32 places. More are admitted as places become free.
  expect(admitted.length).toBeGreaterThanOrEqual(33)
  expect(admitted.length).toBeLessThan(900)
  expect(took.length).toBeGreaterThan(10)
  count.matches()
})

test('every failed sign-in gets the same response, for known and unknown e-mails', async () => {
  const count = totals('credentials', 'credentials: e-mails and passwords of any kind')
  const here = await service(unlimited)
  const people = await Promise.all([1, 2, 3].map(() => here.someone()))
  const gone = await here.someone()
  await gone.call('DELETE', '/api/auth/me', { current_password: gone.password })
  const faces = new Set<string>()
  let signedIn = 0

  await eachCase('guessing', budget(1500, 15_000), 4, async (random, at) => {
    const ada = random.of(people)
    const email = random.of([
      ada.email,
      gone.email,
      `${Bun.randomUUIDv7()}@example.test`,
      ada.email.toUpperCase(),
      `\u00a0${ada.email}\n`,
      ada.email.normalize('NFD'),
      `${ada.email}.`,
      ada.email.replace('@', '@@'),
      '',
      'x'.repeat(9000),
      "' or 1=1--",
      '%',
      `${ada.email} ${gone.email}`,
    ])
    const right = ada.password
    const password = random.of([
      right,
      `${right} `,
      ` ${right}`,
      right.toUpperCase(),
      right.slice(0, -1),
      `${right}\u200b`,
      right.replace('o', 'о'),
      'x'.repeat(128),
      ' ',
      '$2b$04$uuuuuuuuuuuuuuuuuuuuuueeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',
      'null',
    ])
    // A dot at the end of the domain is not part of the address.
    const isKnown = email.trim().normalize('NFC').toLowerCase().replace(/\.$/, '') === ada.email
    const isRight = isKnown && password === right

    const answer = await here.call('POST', '/api/auth/login', { body: { email, password } })

    count.tried(answer.status >= 400)
    const what = JSON.stringify({ email: email.slice(0, 100), password })
    const sent = [right, ada.email, gone.email]
    // A successful sign-in returns the user's own e-mail.
    const canaries = answer.status === 200 ? [right] : sent
    count.allWrong(wrongsOf(answer, { canaries }), what, at)
    count.allWrong(leaksIn(here.log, sent), what, at)
    if (answer.status !== (isRight ? 200 : 401)) count.wrong(`${answer.status}: ${what}`, at)
    if (isRight) signedIn++
    else faces.add(JSON.stringify(comparable(answer)))
  })

  count.matches()
  expect(faces.size).toBe(1)
  expect(signedIn).toBeGreaterThan(10)
})
