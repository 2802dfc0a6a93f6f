import type { NetworkInterfaceInfo } from 'node:os';
import { EXPOSED_PROBLEM, isBreak, type Problem } from '@weft/proto';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { type ExposedTarget, Exposure, exposedTarget } from './exposure.ts';
import { type Listener, ListenerTable } from './listener-table.ts';

const INTERFACES = {
  lo: [at('127.0.0.1', 'IPv4', true), at('::1', 'IPv6', true), at('100.80.0.1', 'IPv4', true)],
  eth0: [at('10.0.0.5', 'IPv4'), at('2001:db8::5', 'IPv6'), at('fe80::5', 'IPv6')],
};

function at(address: string, family: 'IPv4' | 'IPv6', internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '', internal, cidr: null };
  return family === 'IPv4' ? { ...common, family } : { ...common, family, scopeid: 0 };
}

function exposed(port: number, ...addresses: readonly string[]): ExposedTarget[] {
  const table = new ListenerTable(addresses.map((address): Listener => ({ protocol: 'tcp', address, port })));
  const found = exposedTarget('redis', { host: '127.0.0.1', port }, 'tcp', table);
  return found === undefined ? [] : [found];
}

function told(targets: readonly ExposedTarget[], interfaces: object = INTERFACES): readonly Problem[] {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  new Exposure(problems, { interfaces: () => ({ ...interfaces }) }).tell(targets);
  return problems.current;
}

const ADVICE = 'needs no rule; let it listen on 127.0.0.1 alone, or close the port: weft guard on';

test.each([
  [['0.0.0.0'], '0.0.0.0:6379, where it is expected, so who reaches 10.0.0.5'],
  [['::'], '[::]:6379, where it is expected, so who reaches 10.0.0.5 or 2001:db8::5'],
  [['10.0.0.5'], '10.0.0.5:6379, where it is expected, so who reaches 10.0.0.5'],
  [['127.0.0.1', '10.0.0.5'], '10.0.0.5:6379, where it is expected, so who reaches 10.0.0.5'],
  [['::', '0.0.0.0'], '0.0.0.0:6379 and [::]:6379, where it is expected, so who reaches 10.0.0.5 or 2001:db8::5'],
])('a program on %j is told with where it is found', (listens, where) => {
  expect(told(exposed(6379, ...listens))).toEqual([
    {
      code: EXPOSED_PROBLEM,
      subject: 'redis',
      message: `redis may be reached past Weft: a program listens on ${where} ${ADVICE}`,
    },
  ]);
});

test.each([[['127.0.0.1']], [['127.80.0.7']], [['::1', '127.0.0.1']], [[]]])('one on %j is not', (listens) => {
  expect(told(exposed(6379, ...listens))).toEqual([]);
});

test('a wildcard of IPv6 alone is found by IPv6', () => {
  const table = new ListenerTable([{ protocol: 'tcp', address: '::', port: 6379 }]).withSixOnly(['6379/tcp']);
  const found = exposedTarget('redis', { host: '::1', port: 6379 }, 'tcp', table);
  expect(told(found === undefined ? [] : [found])[0]?.message).toContain('so who reaches 2001:db8::5 needs no rule');
});

test('a host that is found on its wire alone is told too', () => {
  const interfaces = { eth0: [at('fe80::5', 'IPv6'), at('169.254.1.5', 'IPv4')] };
  expect(told(exposed(6379, '::'), interfaces)[0]?.message).toContain('so who reaches fe80::5 or 169.254.1.5 needs');
});

test('what stands stays while the addresses cannot be asked for, and a network that comes later is told', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  let interfaces: object | undefined = { lo: INTERFACES.lo };
  const exposure = new Exposure(problems, { interfaces: () => interfaces && { ...interfaces } });
  exposure.tell(exposed(6379, '0.0.0.0'));
  expect(problems.current).toEqual([]);
  interfaces = INTERFACES;
  exposure.tell(exposed(6379, '0.0.0.0'));
  interfaces = undefined;
  exposure.tell(exposed(6379, '0.0.0.0'));
  expect(problems.current).toMatchObject([{ subject: 'redis' }]);
});

test('a host without a network exposes nothing', () => {
  expect(told(exposed(6379, '0.0.0.0', '::'), { lo: INTERFACES.lo })).toEqual([]);
});

test('all of a service are told as one, which goes when the last is mended', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const exposure = new Exposure(problems, { interfaces: () => INTERFACES });
  const heard = () => problems.current.map(({ message }) => /listens on (.*), where/.exec(message)?.[1]);
  exposure.tell([...[7001, 7002, 7003, 7005].flatMap((port) => exposed(port, '0.0.0.0')), ...exposed(9, '10.0.0.5')]);
  expect(heard()).toEqual(['0.0.0.0:7001-7003, 0.0.0.0:7005 and 10.0.0.5:9']);
  exposure.tell(exposed(7005, '0.0.0.0'));
  expect(heard()).toEqual(['0.0.0.0:7005']);
  exposure.tell([]);
  expect(problems.current).toEqual([]);
});

test('it is no break: all that uses the service works', () => {
  expect(isBreak({ code: EXPOSED_PROBLEM })).toBe(false);
});

test('a worker is told by its program, and other ports of one beside its target', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const exposure = new Exposure(problems, { interfaces: () => INTERFACES });
  const other = (service: string, port: number, program: string): ExposedTarget => {
    return { service, protocol: 'tcp', port, listens: ['0.0.0.0'], sixOnly: false, program };
  };
  exposure.found([other('mailer', 8080, '/usr/bin/node'), other('redis', 16379, '/usr/bin/redis-server')]);
  exposure.tell(exposed(6379, '0.0.0.0'));
  expect(problems.current.map(({ message }) => /past Weft: (.*), so who/.exec(message)?.[1])).toEqual([
    'its program /usr/bin/node listens on 0.0.0.0:8080',
    'a program listens on 0.0.0.0:6379, where it is expected, and its program /usr/bin/redis-server on 0.0.0.0:16379',
  ]);
});

test('what is allowed, or closed by the guard, is not told; of a wildcard of both families both must be', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const closed = new Set<string>();
  const exposure = new Exposure(problems, {
    interfaces: () => INTERFACES,
    allowed: (_, port) => port === 443,
    closed: ({ address }) => closed.has(address),
  });
  exposure.tell([...exposed(443, '0.0.0.0'), ...exposed(6379, '::')]);
  expect(exposure.toClose).toEqual([
    { service: 'redis', protocol: 'tcp', address: '0.0.0.0', port: 6379 },
    { service: 'redis', protocol: 'tcp', address: '::', port: 6379 },
  ]);
  closed.add('::');
  exposure.tell(exposed(6379, '::'));
  expect(problems.current).toHaveLength(1);
  closed.add('0.0.0.0');
  exposure.tell(exposed(6379, '::'));
  expect(problems.current).toEqual([]);
  expect(exposure.places.map(({ closed: is }) => is)).toEqual([true, true]);
});

test('a place stays to be closed while its program is away, until another has the port or the service leaves', () => {
  const exposure = new Exposure(new ProblemBoard(pino({ level: 'silent' })), { interfaces: () => INTERFACES });
  const around = { held: () => false, running: new Set(['redis']) };
  // From the second on, a connection of this host's own may come from there.
  exposure.tell([...exposed(6379, '0.0.0.0'), ...exposed(45_000, '0.0.0.0')], around);
  expect(exposure.toClose.map(({ port }) => port)).toEqual([6379, 45_000]);
  exposure.tell([], around);
  expect(exposure.toClose.map(({ port }) => port)).toEqual([6379]);
  exposure.tell([], { ...around, held: () => true });
  expect(exposure.toClose).toEqual([]);
  exposure.tell(exposed(6379, '0.0.0.0'), around);
  exposure.tell([], { ...around, running: new Set() });
  expect(exposure.toClose).toEqual([]);
});
