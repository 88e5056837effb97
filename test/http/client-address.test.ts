import { expect, test } from 'bun:test'
import { createClientAddress } from '../../src/http/client-address.ts'

type Trust = Parameters<typeof createClientAddress>[0]

type Sent = Record<string, string> | [string, string][]

const peer = '203.0.113.9'
const keyOf = (trust: Trust, headers: Sent = {}, from: string | undefined = peer) =>
  createClientAddress(trust)(new Request('http://localhost/', { headers }), from)
const keyOfPeer = (from: string) => keyOf('none', {}, from)

const spoofed = {
  'x-forwarded-for': '192.0.2.1',
  'x-real-ip': '192.0.2.1',
  'fly-client-ip': '192.0.2.1',
  forwarded: 'for=192.0.2.1',
}

test('without a trusted proxy, the peer is the client, and headers are ignored', () => {
  expect(keyOf('none', spoofed)).toBe(peer)
})

test('only the header of the trusted proxy is used', () => {
  const { 'fly-client-ip': _fly, ...notFly } = spoofed
  const { 'x-real-ip': _railway, ...notRailway } = spoofed
  const { 'x-forwarded-for': _hops, ...notHops } = spoofed

  expect([keyOf('fly', notFly), keyOf('railway', notRailway), keyOf(1, notHops)]).toEqual([
    peer,
    peer,
    peer,
  ])
})

test('behind Fly and Railway, their own header has the client', () => {
  expect(keyOf('fly', { ...spoofed, 'fly-client-ip': '198.51.100.7' })).toBe('198.51.100.7')
  expect(keyOf('railway', { ...spoofed, 'x-real-ip': '2001:db8::7' })).toBe('2001:db8:0:0::/64')
})

test('behind n proxies, the client is the n-th address from the right, and what it sends itself is ignored', () => {
  const headers = { 'x-forwarded-for': '192.0.2.1, 198.51.100.1 ,198.51.100.2,198.51.100.3' }

  expect(keyOf(1, headers)).toBe('198.51.100.3')
  expect(keyOf(2, headers)).toBe('198.51.100.2')
  expect(keyOf(3, headers)).toBe('198.51.100.1')
})

test('a duplicate X-Forwarded-For is one list', () => {
  const headers: [string, string][] = [
    ['x-forwarded-for', '192.0.2.1'],
    ['x-forwarded-for', '198.51.100.1, 198.51.100.2'],
  ]

  expect(keyOf(2, headers)).toBe('198.51.100.1')
  expect(keyOf(3, headers)).toBe('192.0.2.1')
})

test('with fewer addresses than hops, the peer is used', () => {
  expect(keyOf(2, { 'x-forwarded-for': '192.0.2.1' })).toBe(peer)
})

test.each([
  '',
  ',',
  'unknown',
  '1.2.3',
  '1.2.3.4.5',
  '256.1.1.1',
  '01.2.3.4',
  '192.0.2.1, 192.0.2.2',
  '192.0.2.1 192.0.2.2',
  ':::',
  '2001:db8::1::2',
  '[2001:db8::1',
  'localhost',
  'x'.repeat(5_000),
])('with a header of %p, the peer is used', (value) => {
  expect(keyOf('fly', { 'fly-client-ip': value })).toBe(peer)
  expect(keyOf('railway', { 'x-real-ip': value })).toBe(peer)
})

test.each([
  ...['', 'unknown', 'localhost', '1.2.3', '1.2.3:1.4', '::ffff:1.2.3.4:80'],
  ...['1[2001:db8::1]', '[2001:db8::1]2', '[2001:db8::1]:x'],
])('with a last hop of %p, the peer is used', (hop) => {
  expect(keyOf(1, { 'x-forwarded-for': `192.0.2.1, ${hop}` })).toBe(peer)
})

test('all forms of an IPv4 address are one key', () => {
  const spellings = [
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '::FFFF:c000:201',
    '0:0:0:0:0:ffff:c000:0201',
    '[::ffff:192.0.2.1]:4711',
    '192.0.2.1:4711',
    ' 192.0.2.1 ',
  ]

  expect(new Set(spellings.map(keyOfPeer))).toEqual(new Set(['192.0.2.1']))
})

test('all forms and all addresses of an IPv6 /64 are one key', () => {
  const spellings = [
    '2001:db8:0:1::',
    '2001:db8:0:1::1',
    '2001:0DB8:0000:0001:ffff:ffff:ffff:ffff',
    '2001:db8::1:0:0:0:1',
    '2001:db8:0:1:1::192.0.2.1',
    '2001:db8:0:1::1%eth0',
    '2001:db8:0:1:2:3:4:5%eth0.100',
    '[2001:db8:0:1::1]',
    '[2001:db8:0:1::1]:4711',
  ]

  expect(new Set(spellings.map(keyOfPeer))).toEqual(new Set(['2001:db8:0:1::/64']))
})

test('different networks are different keys', () => {
  const addresses = ['2001:db8::1', '2001:db8:0:1::1', '1::', '::', '::fffe:1.2.3.4', '1.2.3.4']

  expect(new Set(addresses.map(keyOfPeer)).size).toBe(5)
  expect(keyOfPeer('::1')).toBe(keyOfPeer('::fffe:1.2.3.4'))
})

test('only ::ffff:0:0/96 is an IPv4-mapped address', () => {
  const zeros = ['0', '0', '0', '0', '0']

  for (const at of zeros.keys()) {
    const before = zeros.with(at, '1')
    const key = `${before.slice(0, 4).join(':')}::/64`
    expect(keyOfPeer(`${before.join(':')}:ffff:c000:0201`)).toBe(key)
  }
})

test('without a peer, the client is unknown unless a trusted header has its address', () => {
  const withoutPeer = (trust: Trust, headers: Sent = {}) =>
    createClientAddress(trust)(new Request('http://localhost/', { headers }), undefined)

  expect(withoutPeer('none', spoofed)).toBe('unknown')
  expect(withoutPeer('fly', spoofed)).toBe('192.0.2.1')
})
