import postgres from 'postgres'

/*
 * Preloaded before every test file (bunfig.toml). Each process of `bun test --parallel` uses a database of its own: a
 * purge reaches the rows of all users, and each process moves its own clock. The database stays on the server, which is
 * disposable.
 */

const { BUN_TEST_WORKER_ID: worker, TEST_DATABASE_URL, TEST_DIRECT_DATABASE_URL } = process.env
if (worker !== undefined && TEST_DATABASE_URL) {
  const admin = postgres(TEST_DIRECT_DATABASE_URL ?? TEST_DATABASE_URL, {
    max: 1,
    onnotice: () => {},
  })
  const url = new URL(TEST_DATABASE_URL)
  const name = `${url.pathname.slice(1) || 'postgres'}_worker_${worker}`
  await admin.unsafe(`drop database if exists "${name}" with (force)`)
  await admin.unsafe(`create database "${name}"`)
  await admin.end()
  url.pathname = `/${name}`
  process.env.TEST_DATABASE_URL = url.href
}
