import { expect, test } from 'vitest';
import { addressHints } from './address-hint.ts';
import type { FleetAgent } from './projection.ts';
import { EMPTY_REPORT } from './report.ts';

type Seen = Pick<FleetAgent, 'agent' | 'connected' | 'observedHost' | 'report'>;

const seen = (host: string, observedHost: string, ...endpoints: readonly string[]): Seen => ({
  agent: { host } as FleetAgent['agent'],
  connected: true,
  observedHost,
  report: { ...EMPTY_REPORT, endpoints },
});
const OTHER = seen('web-1', '203.0.113.9', '203.0.113.9:7410');
const THEFT = '203.0.113.9, which it claims, is where web-1 comes from';
const NAT = 'behind NAT: it knows of private addresses alone';

test.each<[string, Seen, string]>([
  ['where it says', seen('a', '198.51.100.7', '10.0.0.3:7410', '198.51.100.7:7410'), ''],
  ['private addresses, seen from a public one', seen('a', '198.51.100.7', '10.0.0.3:7410', '100.64.0.9:7410'), NAT],
  ['the same of IPv6', seen('a', '2001:db8::7', '[fd12::3]:7410'), NAT],
  ['private addresses, seen from another private one', seen('a', '10.9.0.1', '10.0.0.3:7410'), ''],
  ['a public address besides', seen('a', '198.51.100.7', '10.0.0.3:7410', '192.0.2.3:7410'), ''],
  ['a name, which may be any address', seen('a', '198.51.100.7', 'a.example.com:7410'), ''],
  ['addresses of the other family', seen('a', '2001:db8::7', '10.0.0.3:7410'), ''],
  ['the address that another comes from', seen('a', '198.51.100.7', '203.0.113.9:7410'), THEFT],
  ['one beside its own', seen('a', '198.51.100.7', '203.0.113.9:7410', '10.0.0.3:7410'), THEFT],
  ['the address that it shares with another', seen('a', '203.0.113.9', '203.0.113.9:7411'), ''],
  ['nothing', seen('a', '198.51.100.7'), ''],
  ['not seen yet', seen('a', '', '203.0.113.9:7410'), ''],
  ["control's own host", seen('a', '127.0.0.1', '10.0.0.3:7410'), ''],
])('an agent that tells of %s', (_case, one, hint) => {
  expect(addressHints([OTHER, one])(one)).toBe(hint);
});

test('a private address, which many places have, counts as taken only from who is seen at a private one', () => {
  const near = seen('web-1', '192.168.1.10');
  const claim = '192.168.1.10, which it claims, is where web-1 comes from';
  for (const [observed, hint] of [
    ['198.51.100.7', NAT],
    ['192.168.1.11', claim],
  ] as const) {
    const one = seen('a', observed, '192.168.1.10:7410');
    expect(addressHints([near, one])(one)).toBe(hint);
  }
});

test('an address from which several come, as through a proxy, is none of theirs', () => {
  const one = seen('a', '198.51.100.7', '203.0.113.9:7410');
  expect(addressHints([OTHER, seen('web-2', '203.0.113.9'), one])(one)).toBe('');
  expect(addressHints([{ ...OTHER, connected: false }, one])(one)).toBe('');
});
