import type { PortRange, Rule, RulePorts } from '@weft/proto';
import { expect, test } from 'vitest';
import { rule, service } from './network.fixture.ts';
import { mergeRanges, portSegments } from './port-segments.ts';

const both: PortRange[] = [
  { protocol: 'udp', first: 1000, last: 1009 },
  { protocol: 'tcp', first: 1000, last: 1009 },
];
const about = (...ports: RulePorts[]): Rule => ({ ...rule('r', 'deny', ['*'], ['*']), ports });
const words = (ranges: readonly PortRange[]): string =>
  ranges.map(({ protocol, first, last }) => `${protocol}:${first}-${last}`).join(' ');

test.each<[string, RulePorts[], string]>([
  ['no rule', [], 'tcp:1000-1009 udp:1000-1009'],
  [
    'a rule for both transports',
    [{ protocol: 'any', first: 1002, last: 1003 }],
    'tcp:1000-1001 udp:1000-1001 tcp:1002-1003 udp:1002-1003 tcp:1004-1009 udp:1004-1009',
  ],
  ['a rule for TCP', [{ protocol: 'tcp', first: 1002, last: 1009 }], 'tcp:1000-1001 udp:1000-1009 tcp:1002-1009'],
  ['a rule for UDP', [{ protocol: 'udp', first: 1002, last: 1009 }], 'tcp:1000-1009 udp:1000-1001 udp:1002-1009'],
  ['a rule from below', [{ protocol: 'tcp', first: 1, last: 1002 }], 'tcp:1000-1002 udp:1000-1009 tcp:1003-1009'],
  ['a rule to above', [{ protocol: 'tcp', first: 1008, last: 65_535 }], 'tcp:1000-1007 udp:1000-1009 tcp:1008-1009'],
  ['the first port', [{ protocol: 'tcp', first: 1000, last: 1000 }], 'tcp:1000-1000 udp:1000-1009 tcp:1001-1009'],
  ['the last port', [{ protocol: 'tcp', first: 1009, last: 1009 }], 'tcp:1000-1008 udp:1000-1009 tcp:1009-1009'],
  ['other ports', [{ protocol: 'any', first: 1, last: 999 }], 'tcp:1000-1009 udp:1000-1009'],
])('%s', (_what, ports, segments) => {
  const found = portSegments(service('s', 'private', both), [about(...ports)]);
  expect(words(found)).toBe(segments);
  expect(words(mergeRanges(found))).toBe('tcp:1000-1009 udp:1000-1009');
});

test('the public port is a piece of its own, of TCP', () => {
  const web = service('web', 'web', both, { public: { port: 1005, hosts: ['a.example'] } });
  expect(words(portSegments(web, []))).toBe('tcp:1000-1004 udp:1000-1009 tcp:1005-1005 tcp:1006-1009');
});

test('pieces that do not touch stay apart', () => {
  const pieces: PortRange[] = [
    { protocol: 'tcp', first: 1, last: 2 },
    { protocol: 'udp', first: 3, last: 3 },
    { protocol: 'tcp', first: 4, last: 4 },
    { protocol: 'udp', first: 4, last: 4 },
  ];
  expect(words(mergeRanges(pieces))).toBe('tcp:1-2 udp:3-4 tcp:4-4');
});

test('of a service whose programs publish ports, all ports are in pieces at the edges of rules', () => {
  const auto = { ...service('s', 'private', []), autoPorts: true as const };
  expect(words(portSegments(auto, [about({ protocol: 'tcp', first: 80, last: 80 })]))).toBe(
    'tcp:1-79 udp:1-65535 tcp:80-80 tcp:81-65535',
  );
});
