/** Records for tests. */
import type { FlowFilter, FlowRecord } from '@weft/proto';
import fc from 'fast-check';

/** The number is its identifier and when it began. */
export function flow(number: number, change: Partial<FlowRecord> = {}): FlowRecord {
  const verdict = change.verdict ?? 'allow';
  return {
    id: number.toString(16).padStart(16, '0'),
    startedMs: number,
    durationMs: 1,
    source: 'web',
    sourceHost: 'a',
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'b',
    port: 6379,
    protocol: 'tcp',
    verdict,
    rule: 'default',
    revision: 1,
    outcome: verdict === 'allow' ? 'closed' : 'denied',
    bytesSent: 0,
    bytesReceived: 0,
    zone: '',
    user: '',
    unit: '',
    program: '',
    detail: '',
    ...change,
  };
}

export function flows(from: number, to: number, change: Partial<FlowRecord> = {}): FlowRecord[] {
  return Array.from({ length: to - from + 1 }, (_, index) => flow(from + index, change));
}

const count = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
const name = fc.constantFrom('web', 'redis', 'Kafka', 'host:ü', '');

/** Of few names, so that filters find some; identifiers that differ in either half, and some the same. */
export const anyFlow: fc.Arbitrary<FlowRecord> = fc.record({
  id: fc.constantFrom(
    '0000000000000000',
    'ffffffffffffffff',
    '80000000deadbeef',
    '80000000deadbeee',
    '00000001deadbeef',
  ),
  startedMs: count,
  durationMs: count,
  source: name,
  sourceHost: fc.constantFrom('a', 'b', 'c'),
  service: name,
  instance: fc.constantFrom('', 'redis/0', 'redis/1'),
  destinationHost: fc.constantFrom('', 'a', 'b'),
  port: fc.constantFrom(0, 80, 443, 65_535),
  protocol: fc.constantFrom('tcp', 'udp'),
  verdict: fc.constantFrom('allow', 'deny'),
  rule: fc.constantFrom('default', 'no-admin', ''),
  revision: count,
  outcome: fc.constantFrom('closed', 'reset', 'denied', 'cut', 'no-instance', 'unreachable'),
  bytesSent: count,
  bytesReceived: count,
  zone: fc.constantFrom('', 'eu-1a', 'eu-1b'),
  user: fc.constantFrom('', 'www-data'),
  unit: fc.constantFrom('', 'web.service'),
  program: fc.constantFrom('', '/usr/bin/node'),
  // The Kelvin sign is a k to those who ask without case.
  detail: fc.constantFrom(
    '',
    '',
    '',
    'client 10.0.0.1',
    'client 10.0.0.2: KAPUTT',
    'Überlast',
    '\u212Aelvin',
    'it\'s "50%"_',
  ),
});

const everyField = fc.record({
  source: name,
  service: name,
  host: fc.constantFrom('a', 'b', 'nowhere'),
  verdict: fc.constantFrom('allow' as const, 'deny' as const),
  rule: fc.constantFrom('default', 'no-admin'),
  outcome: fc.constantFrom('closed' as const, 'cut' as const),
  port: fc.constantFrom(80, 443),
  text: fc.constantFrom('K', 'kaputt', '10.0.0', 'ÜBER', '443/udp', '%', '_', 'redis/1', "'", 'nothing'),
  id: fc.constantFrom('ffffffffffffffff', '80000000deadbeef', '00000001deadbeef', '1234567812345678'),
});

/** Of two fields at most: what asks for more at once finds nothing, and proves nothing. */
export const anyFilter: fc.Arbitrary<FlowFilter> = everyField.chain((every) =>
  fc.subarray(Object.entries(every), { maxLength: 2 }).map((fields) => Object.fromEntries(fields) as FlowFilter),
);
