import dnsPacket, { type ResourceRecord } from 'dns-packet';
import { expect, it } from 'vitest';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import { leadsInside } from './forward-zone.ts';
import { Flag, Type } from './message.ts';
import { withoutOwnGround } from './rebinding.ts';

const netmap = sampleNetmap();
const GROUND = {
  range: { base: 0x7f500000, size: 2 ** 20 },
  leadsInside: (labels: readonly string[]) => leadsInside(netmap, labels),
  private: [['zen', 'spamhaus', 'org']],
};
const question = { type: 'A', class: 'IN', name: 'big.example' } as const;
const answer = (flags: number) =>
  dnsPacket.encode({
    type: 'response',
    id: 7,
    flags,
    questions: [question],
    answers: [{ ...question, ttl: 60, data: '192.0.2.1' }],
  });

it('keeps the head of a truncated answer that ends within a record, so that its asker comes again over TCP', () => {
  const cut = answer(Flag.TC).subarray(0, -3);
  const { message } = withoutOwnGround(cut, ['big', 'example'], GROUND);
  const read = dnsPacket.decode(message ?? Buffer.alloc(0));
  expect(read).toMatchObject({ id: 7, questions: [question], answers: [], authorities: [], additionals: [] });
  expect(read.flags & Flag.TC).toBe(Flag.TC);
});

it('takes one that is cut and does not say so for no answer', () => {
  const { message } = withoutOwnGround(answer(0).subarray(0, -3), ['big', 'example'], GROUND);
  expect(message).toBeUndefined();
});

const CASES: readonly [type: 'A' | 'AAAA', data: string, own: boolean][] = [
  ['A', '127.80.0.2', true],
  ['A', '127.0.0.1', true],
  ['A', '0.0.0.0', true],
  ['A', '192.0.2.1', false],
  ['AAAA', '::1', true],
  ['AAAA', '::', true],
  ['AAAA', '::127.80.0.2', true],
  ['AAAA', '::ffff:127.80.0.2', true],
  ['AAAA', '::ffff:0:7f50:2', true],
  ['AAAA', '64:ff9b::7f50:2', true],
  ['AAAA', '2002:7f50:2::1', true],
  ['AAAA', '64:ff9b:1::7f50:2', true],
  ['AAAA', '64:ff9b::c000:201', false],
  // Such as what metadata.google.internal stands for: near, and no way into the mesh.
  ['A', '169.254.169.254', false],
  ['AAAA', 'fe80::1', false],
  ['AAAA', '::ffff:192.0.2.1', false],
  ['AAAA', '2001:db8::7f50:2', false],
];
it.each(CASES)('%s %s leads here: %s', (type, data, own) => {
  const asked = (name: string) => {
    const answers = [{ type, name, ttl: 60, data } as const];
    const questions = [{ type, class: 'IN', name } as const];
    const message = dnsPacket.encode({ type: 'response', id: 7, questions, answers });
    return withoutOwnGround(message, name.split('.'), GROUND).dropped;
  };
  expect(asked('evil.example')).toBe(own ? 1 : 0);
  expect(asked('app.localhost')).toBe(own && data !== '127.0.0.1' && data !== '::1' ? 1 : 0);
});

const dropped = (asked: string, ...records: ResourceRecord[]) => {
  const questions = [{ type: 'A', class: 'IN', name: asked } as const];
  const message = dnsPacket.encode({ type: 'response', id: 7, questions, answers: records });
  return withoutOwnGround(message, asked.split('.'), GROUND).dropped;
};
const named = (text: string) =>
  Buffer.concat([...text.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)]);
/** Of one type, about evil.example, with the name at its place. */
const LEADING: readonly [what: string, record: (target: string) => ResourceRecord][] = [
  ['CNAME', (data) => ({ name: 'evil.example', ttl: 60, type: 'CNAME', data })],
  ['DNAME', (target) => raw(Type.DNAME, named(target))],
  ['NS', (data) => ({ name: 'evil.example', ttl: 60, type: 'NS', data })],
  ['PTR', (data) => ({ name: '7.113.0.203.in-addr.arpa', ttl: 60, type: 'PTR', data })],
  ['MX', (target) => raw(Type.MX, Buffer.concat([Buffer.from([0, 1]), named(target)]))],
  ['SRV', (target) => ({ name: '_x._tcp.evil.example', ttl: 60, type: 'SRV', data: { port: 1, target } })],
  ['HTTPS', (target) => raw(Type.HTTPS, Buffer.concat([Buffer.from([0, 1]), named(target)]))],
  ['SVCB', (target) => raw(Type.SVCB, Buffer.concat([Buffer.from([0, 1]), named(target)]))],
  [
    'NAPTR',
    (target) => raw(Type.NAPTR, Buffer.concat([Buffer.from([0, 1, 0, 1, 1, 0x53, 1, 0x78, 0]), named(target)])),
  ],
];
const raw = (type: number, data: Buffer) => ({ name: 'evil.example', ttl: 60, type: `UNKNOWN_${type}`, data }) as never;

it.each(LEADING)('%s to a name of the network is taken out, and to one outside is left', (_what, record) => {
  for (const inside of ['redis.internal', 'REDIS.Internal', '0.redis.internal', 'nobody.internal', 'redis']) {
    expect([inside, dropped('evil.example', record(inside))]).toEqual([inside, 1]);
  }
  for (const outside of ['x.example', 'metadata.google.internal', 'redis.example', 'internal.example']) {
    expect([outside, dropped('evil.example', record(outside))]).toEqual([outside, 0]);
  }
});

it('takes out a way to localhost, and leaves the name of 127.0.0.1', () => {
  const kept = LEADING.filter(([, record]) => dropped('evil.example', record('localhost')) === 0);
  expect(kept.map(([what]) => what)).toEqual(['NS', 'PTR']);
  expect(dropped('app.localhost', { name: 'app.localhost', ttl: 60, type: 'CNAME', data: 'localhost' })).toBe(0);
});

it('finds a name behind pointers, and takes one that leads in a circle for no answer', () => {
  // Twice, so that the second is written as a pointer to the first.
  const twice = ['a.evil.example', 'b.evil.example'].map(
    (name): ResourceRecord => ({ name, ttl: 60, type: 'CNAME', data: 'redis.internal' }),
  );
  expect(dropped('evil.example', ...twice)).toBe(2);
  const questions = [{ type: 'A', class: 'IN', name: 'evil.example' } as const];
  const answers: ResourceRecord[] = [{ name: 'evil.example', ttl: 60, type: 'CNAME', data: 'example' }];
  const circle = dnsPacket.encode({ type: 'response', id: 7, questions, answers });
  circle.writeUInt16BE(0xc000 | (circle.length - 2), circle.length - 2);
  expect(withoutOwnGround(circle, ['evil', 'example'], GROUND).message).toBeUndefined();
});

it('lets nobody else say what a name of the network is, wherever it stands', () => {
  const alias = { name: 'evil.example', ttl: 60, type: 'CNAME', data: 'x.example' } as const;
  const forged = { name: 'redis.internal', ttl: 60, type: 'A', data: '203.0.113.7' } as const;
  expect(dropped('evil.example', alias, forged)).toBe(1);
  const additionals = [forged];
  const message = dnsPacket.encode({ type: 'response', id: 7, answers: [alias], additionals });
  const read = dnsPacket.decode(withoutOwnGround(message, ['evil', 'example'], GROUND).message ?? Buffer.alloc(0));
  expect([read.answers?.length, read.additionals]).toEqual([1, []]);
});

it('leaves the loopback addresses of domains that mean them, and never a VIP', () => {
  const listed = '2.0.0.127.zen.spamhaus.org';
  const a = (data: string, name = listed) => dropped(name, { name, ttl: 60, type: 'A', data });
  expect([a('127.0.0.2'), a('127.255.255.254'), a('127.80.0.2'), a('0.0.0.0')]).toEqual([0, 0, 1, 1]);
  expect([a('127.0.0.2', 'zen.spamhaus.org'), a('127.0.0.2', 'xzen.spamhaus.org')]).toEqual([0, 1]);
});
