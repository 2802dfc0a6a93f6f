import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Permit, Service } from '@weft/proto';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { OpenFiles } from '../bytes/open-files.ts';
import { parseAgentFile } from '../config/agent-file.ts';
import type { Caller } from '../flows/judge.ts';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { createDialer } from './dial.ts';

test('a caller whose address no call can come from is told of by service, target and address, and what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { self, ...sample } = sampleNetmap();
  const netmap = { ...sample, self: self && { ...self, services: ['redis'] } };
  const service: Service = {
    name: 'redis',
    kind: 'private',
    ports: [{ protocol: 'tcp', first: 6_379, last: 6_379 }],
    tags: [],
  };
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const dialer = createDialer({
    netmap: { current: netmap, subscribe: () => {}, staleSinceMs: undefined },
    services: parseAgentFile('weft.yaml', `services: { redis: { targets: { 6379: "127.0.0.1:${port}" } } }`).services,
    watched: { answers: () => true, other: () => undefined, others: new Map(), onChange: () => {} },
    files: new OpenFiles(1_024, problems),
    held: { makeRoom: () => false },
    problems,
  });
  const permit = { destination: { service, port: 6_379, protocol: 'tcp' }, revision: 7 } as unknown as Permit;
  // Of no host: as one of which every port is taken.
  const address = '192.0.2.77';
  const caller: Caller = { source: { type: 'service', service }, user: '', host: 'a', address, client: '' };
  const opened = await dialer.stream(permit, caller, new Deadline(5_000));
  expect(opened).toMatchObject({ opened: false, refusal: { code: 'overloaded', revision: 7 } });
  const detail = opened.opened ? '' : opened.refusal.detail;
  expect(detail).toMatch(
    `redis 6379 → 127.0.0.1:${port}: address not available: it cannot be called from ${address}, `,
  );
  expect(detail).toContain(`ss -tan src ${address}`);
});
