import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_OPENED_PORTS, type PortRange, type Service } from '@weft/proto';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { observedHost, observedPeer } from '../bounds/observed.ts';
import { agentOn, mesh, networkOf, service, tcp } from '../netmap/network.fixture.ts';
import { Allowance } from '../watch/agent-stream.ts';
import { reportOf } from '../watch/fake-agent.fixture.ts';
import { fileMemory, type Remembered } from './memory.ts';
import { acceptReport, unchangedPresence, unwell } from './report.ts';

const agent = agentOn(await networkOf(mesh({}), [{ host: 'one', services: ['web', 'redis'] }]), 'one');

describe('endpoints', () => {
  test.each([
    [[], 7410, '203.0.113.7', ['203.0.113.7:7410']],
    [[], 7410, '2001:db8::1', ['[2001:db8::1]:7410']],
    [
      ['a.example:1', 'b.example:2', 'a.example:1'],
      7410,
      '203.0.113.7',
      ['a.example:1', 'b.example:2', '203.0.113.7:7410'],
    ],
    [['203.0.113.7:7410'], 7410, '203.0.113.7', ['203.0.113.7:7410']],
    [['10.0.0.1:7410'], 7410, '127.0.0.1', ['10.0.0.1:7410']],
    [[], 7410, '127.0.0.1', ['127.0.0.1:7410']],
    [[], 0, '203.0.113.7', []],
    // A member gone bad would have its peers dial themselves, their VIPs, or their cloud's metadata.
    [['127.0.0.1:22', 'localhost:22', '[::1]:22', '127.1:22', '[::ffff:7f00:1]:22'], 0, '203.0.113.7', []],
    [['127.80.0.2:6379', '[::ffff:7f50:2]:6379', '2135949314:6379', '[::127.80.0.2]:6379'], 0, '127.0.0.1', []],
    [['169.254.169.254:80', '[::ffff:a9fe:a9fe]:80', '0.0.0.0:1', '[ff02::1]:1'], 0, '203.0.113.7', []],
    [['127.1:22', '[0:0::1]:22', 'A.Example:1'], 0, '127.0.0.1', ['127.0.0.1:22', '[::1]:22', 'a.example:1']],
    [['169.254.3.4:1', '127.0.0.1:1'], 0, '169.254.3.4', ['169.254.3.4:1']],
    [['nonsense', 'host:0', 'host:70000', 'fine.example:9'], 0, '', ['fine.example:9']],
  ])('%j with tunnel port %i seen from %s', (endpoints, tunnelPort, seen, expected) => {
    const { presence } = acceptReport(agent, reportOf([], { endpoints, tunnelPort }), seen);
    expect(presence.endpoints).toEqual(expected);
  });
});

describe('ports that programs opened', () => {
  const range = (protocol: 'tcp' | 'udp', first: number, last = first) => ({ protocol, first, last });
  const accepted = async (more: Partial<Service>, ...opened: PortRange[]) => {
    const services = [service('web', 'private', tcp(3000), more), service('redis', 'private', tcp(6379))];
    const network = await networkOf(mesh({ services }), [{ host: 'one', services: ['web', 'redis'] }]);
    const instances = ['web', 'redis'].map((name) => ({ service: name, healthy: true, notListening: [], opened }));
    const { report, presence } = acceptReport(
      agentOn(network, 'one'),
      reportOf([], { instances }),
      '',
      [],
      network.services,
    );
    const told = report.instances.map(({ opened: ports }) => ports);
    expect([...presence.instances.values()].map(({ opened: ports }) => ports)).toEqual(told);
    return told;
  };

  test('are taken of a service with the word alone, and never declared ones, those below 1024, and those that programs call from', async () => {
    const lie = [range('tcp', 22), range('tcp', 1000, 1025), range('tcp', 2999, 3001), range('udp', 32_767, 61_000)];
    expect(await accepted({ autoPorts: true }, ...lie)).toEqual([
      [range('tcp', 1024, 1025), range('tcp', 2999), range('tcp', 3001), range('udp', 32_767), range('udp', 61_000)],
      undefined,
    ]);
    expect(await accepted({}, ...lie)).toEqual([undefined, undefined]);
    expect(await accepted({ autoPorts: true }, range('tcp', 1, 1023))).toEqual([undefined, undefined]);
  });

  test('are so many at most', async () => {
    const [opened] = await accepted({ autoPorts: true }, range('udp', 5000, 9000), range('tcp', 1, 65_535));
    expect(opened).toEqual([range('tcp', 1024, 1024 + MAX_OPENED_PORTS - 1)]);
  });
});

test('the same presence stays the same value, part by part', () => {
  const of = (...args: Parameters<typeof reportOf>) => acceptReport(agent, reportOf(...args), '').presence;
  const before = of(['web', 'redis']);
  expect(unchangedPresence(before, of(['web', 'redis']))).toBe(before);
  const moved = unchangedPresence(before, of(['web', 'redis'], { endpoints: ['a.example:1'] }));
  expect(moved).not.toBe(before);
  expect(moved.instances.get('web')).toBe(before.instances.get('web'));
  const opened = tcp(5001);
  const gone = new Map([['web', { healthy: true, notListening: tcp(3000), opened }]]);
  expect(unwell({ endpoints: [], instances: gone }).instances.get('web')).toEqual({
    ...{ healthy: false, notListening: tcp(3000), opened },
  });
  const down = unwell(before);
  expect([...down.instances.values()].map(({ healthy }) => healthy)).toEqual([false, false]);
  expect(unchangedPresence(before, down)).not.toBe(before);
});

test('a program in a sandbox is told of where its host may run the service, and is a problem where not', () => {
  const running = { user: 'web', pid: 7, unit: '', sinceMs: 0, ports: [], egress: false };
  const sandboxes = [
    { ...running, service: 'web' },
    { ...running, service: 'payments' },
  ];
  const { report } = acceptReport(agent, reportOf([], { sandboxes }), '');
  expect(report.sandboxes?.map((each) => each.service)).toEqual(['web']);
  expect(report.problems.map(({ code, subject }) => `${code} ${subject}`)).toEqual(['service-not-allowed payments']);
});

test.each([
  ['10.0.0.7:51234', '10.0.0.7', '10.0.0.7:51234'],
  ['[::1]:51234', '::1', '[::1]:51234'],
  ['::1:51234', '::1', '[::1]:51234'],
  ['::ffff:10.0.0.7:51234', '10.0.0.7', '10.0.0.7:51234'],
  ['[::ffff:10.0.0.7]:51234', '10.0.0.7', '10.0.0.7:51234'],
  ['unix:/run/x.sock', '', 'unix:/run/x.sock'],
  ['unknown', '', 'unknown'],
])('the address in %s is %s, and written %s', (peer, host, written) => {
  expect(observedHost(peer)).toBe(host);
  expect(observedPeer(peer)).toBe(written);
});

test('an allowance is paid back with time, and a clock set back gives nothing', () => {
  const allowance = new Allowance(10, 1_000, 0);
  expect(allowance.spend(10, 0)).toBe(0);
  expect(allowance.spend(5, 0)).toBe(5);
  expect(allowance.spend(0, 5)).toBe(0);
  expect(allowance.spend(3, 1)).toBe(3);
  expect(allowance.spend(0, 1_000)).toBe(0);
});

describe('what is remembered over a restart', () => {
  const logger = pino({ level: 'silent' });

  test('comes back from the file of the version before', () => {
    const path = join(import.meta.dirname, '../../../../test/fixtures/stored/reports.json');
    const [[, remembered] = []] = fileMemory(path, logger).load();
    expect(remembered).toMatchObject({ observedHost: '127.0.0.1', report: { endpoints: ['127.0.0.1:17410'] } });
  });

  test('comes back, without problems and counters, from a file that only its owner reads', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-reports-'));
    try {
      const path = join(directory, 'reports.json');
      expect(fileMemory(path, logger).load().size).toBe(0);
      const report = reportOf(['web'], {
        endpoints: ['a.example:1'],
        flows: 9,
        problems: [{ code: 'x', subject: 'y', message: 'z' }],
      });
      const joined: [string, Remembered] = [
        'ag_2',
        { report: undefined, observedHost: '', capability: 2, lastSeenMs: 0 },
      ];
      // What lies where a name could be guessed is not written through.
      const other = join(directory, 'other');
      writeFileSync(other, 'of another');
      for (const name of ['reports.json', 'reports.json.next', 'reports.json.tmp'])
        symlinkSync(other, join(directory, name));
      fileMemory(path, logger).save(
        new Map([['ag_1', { report, observedHost: '10.0.0.7', capability: 2, lastSeenMs: 7 }], joined]),
      );
      expect([lstatSync(path).mode & 0o777, lstatSync(path).isFile()]).toEqual([0o600, true]);
      expect(readFileSync(other, 'utf8')).toBe('of another');
      expect(readdirSync(directory)).toHaveLength(4);
      expect([...fileMemory(path, logger).load()]).toEqual([
        [
          'ag_1',
          { report: { ...report, flows: 0, problems: [] }, observedHost: '10.0.0.7', capability: 2, lastSeenMs: 7 },
        ],
        joined,
      ]);
      // A pipe that nobody writes to would hold control for ever.
      execFileSync('mkfifo', [join(directory, 'pipe')]);
      expect(fileMemory(join(directory, 'pipe'), logger).load().size).toBe(0);
      for (const damage of ['', 'null', '[{"agent":"x"}]', readFileSync(path, 'utf8').slice(0, -9)]) {
        writeFileSync(path, damage);
        expect(fileMemory(path, logger).load().size).toBe(0);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
