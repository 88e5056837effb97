import { afterAll, expect, test } from 'bun:test'
import { chmod, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanUp, embedded, folder, invoke, patience, start } from './process.ts'

afterAll(cleanUp)

const fileIn = async () => join(await folder(), 'backup')

test(
  'a backup of the running service has all that was acknowledged, and its sessions continue after a restore',
  async () => {
    const settings = await embedded()
    const service = await start(settings)
    const { token, email, password } = await service.someone()
    const acknowledged = new Set<string>()
    let isOver = false
    const write = async () => {
      while (!isOver) {
        const body = { title: 'x' }
        const { status, body: task } = await service.call('POST', '/api/tasks', { token, body })
        if (status === 201) acknowledged.add(task.id)
      }
    }
    const writing = Promise.all([write(), write()])
    while (acknowledged.size < 20) await Bun.sleep(5)
    const before = [...acknowledged]
    const file = await fileIn()

    const { code, out, err } = await invoke(['backup', file], settings)
    isOver = true
    await writing
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^\S+backup: \d+\.\d MB; keep it as safe as the database\n$/)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const after = [...acknowledged]
    expect(await service.stop()).toBe(0)

    const DATA_DIR = join(await folder(), 'new')
    expect(await invoke(['restore', file], { DATA_DIR })).toMatchObject({ code: 0, err: '' })
    const restored = await start({ DATA_DIR })
    const { body } = await restored.call('GET', '/api/tasks/export?format=json', { token })
    const ids = new Set(body.tasks.map(({ id }: { id: string }) => id))
    for (const id of before) expect(ids).toContain(id)
    // Nothing else than was written: a task that the service had not acknowledged yet may be there.
    expect([...ids].filter((id) => !after.includes(String(id))).length).toBeLessThanOrEqual(2)
    const login = await restored.call('POST', '/api/auth/login', { body: { email, password } })
    expect(login.status).toBe(200)
    await restored.stop()
  },
  patience,
)

test(
  'a backup without a running service, also after a kill, is the same; a restore needs an empty directory',
  async () => {
    const settings = await embedded()
    const service = await start(settings)
    const { token } = await service.someone()
    await service.call('POST', '/api/tasks', { token, body: { title: 'kept' } })
    service.child.kill('SIGKILL')
    await service.child.exited
    const file = await fileIn()

    expect(await invoke(['backup', file], settings)).toMatchObject({ code: 0, err: '' })
    expect(await invoke(['restore', file], settings)).toEqual({
      ...{ code: 1, out: '' },
      err: `taskwarden: ${settings.DATA_DIR} has a database already: move it away, or set DATA_DIR to another directory\n`,
    })
    await rm(settings.DATA_DIR, { recursive: true })
    expect(await invoke(['restore', file], settings)).toMatchObject({ code: 0, err: '' })
    const restored = await start(settings)
    const { body } = await restored.call('GET', '/api/tasks', { token })
    expect(body.tasks.map(({ title }: { title: string }) => title)).toEqual(['kept'])
    await restored.stop()
  },
  patience,
)

test(
  'a damaged backup, one of a newer version, and a missing file are refused, and create nothing',
  async () => {
    const settings = await embedded()
    expect((await invoke(['migrate'], settings)).code).toBe(0)
    const file = await fileIn()
    expect((await invoke(['backup', file], settings)).code).toBe(0)
    const bytes = await Bun.file(file).bytes()
    const DATA_DIR = join(await folder(), 'new')
    const restored = async (content: Uint8Array) => {
      const changed = await fileIn()
      await Bun.write(changed, content)
      return invoke(['restore', changed], { DATA_DIR })
    }
    const flipped = bytes.slice()
    flipped[flipped.length - 1]! ^= 1
    const head = bytes.slice()
    head[bytes.indexOf(10) + 20]! ^= 1
    for (const content of [flipped, head, bytes.slice(0, -1), bytes.slice(0, 30)])
      expect(await restored(content)).toMatchObject({
        ...{ code: 1, out: '' },
        err: expect.stringMatching(/^taskwarden: the backup is damaged: its checksum is wrong\n$/),
      })
    expect((await restored(new Uint8Array())).err).toBe(
      'taskwarden: the file is not a backup of taskwarden\n',
    )

    // The same with a migration that this version does not have, and with the right checksum.
    const [line, json = ''] = new TextDecoder('latin1').decode(bytes.slice(0, 10_000)).split('\n')
    const start = line!.length + 1
    const newer = JSON.stringify({ ...JSON.parse(json), version: '9.0.0', migrations: ['unknown'] })
    const rest = Buffer.concat([Buffer.from(newer), bytes.slice(start + json.length)])
    const checksum = new Bun.CryptoHasher('sha256').update(rest).digest('hex')
    const whole = Buffer.concat([Buffer.from(`taskwarden backup 1 ${checksum}\n`), rest])
    expect((await restored(whole)).err).toBe(
      'taskwarden: the backup is of a newer version, 9.0.0: use that one\n',
    )
    expect(await invoke(['restore', `${file}.missing`], { DATA_DIR })).toMatchObject({
      ...{ code: 1, err: `taskwarden: ${file}.missing cannot be used (open: ENOENT)\n` },
    })
    expect(await invoke(['backup', '/nowhere/backup'], settings)).toMatchObject({
      ...{ code: 1, err: 'taskwarden: /nowhere/backup cannot be used (open: ENOENT)\n' },
    })
    await expect(stat(join(DATA_DIR, 'cluster'))).rejects.toThrow('ENOENT')

    const postgres = { DATABASE_URL: 'postgres://127.0.0.1:1/x' }
    expect(await invoke(['backup', file], postgres)).toMatchObject({ code: 2 })
    const readOnly = await folder()
    await chmod(readOnly, 0o500)
    if (process.getuid?.() !== 0)
      expect((await invoke(['backup', join(readOnly, 'x')], settings)).code).toBe(1)
  },
  patience,
)
