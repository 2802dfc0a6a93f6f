import { expect, test } from 'vitest';
import { leavesHost } from './endpoints.ts';

const address = (text: string, internal: boolean) =>
  ({ address: text, netmask: '255.0.0.0', family: 'IPv4', mac: '', internal, cidr: null }) as const;
const inside = { lo: [address('127.0.0.1', true)] };

test.each([
  ['a host with a network', '::', { ...inside, eth0: [address('10.0.0.7', false)] }, true],
  ['a host without one', '::', inside, false],
  ['a host that shows no interface at all', '0.0.0.0', {}, false],
  ['a host that could not be looked at', '::', undefined, undefined],
  ['a listener on one address', '127.0.0.1', inside, true],
])('whether others may find %s that listens on %s', (_, listening, interfaces, expected) => {
  expect(leavesHost(listening, () => interfaces)).toBe(expected);
});
