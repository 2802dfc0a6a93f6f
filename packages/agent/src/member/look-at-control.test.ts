import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AgentHandlers, pb } from '@weft/proto/wire';
import { afterEach, expect, test } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { startFakeControl } from '../../testing/fake-control.ts';
import { lookAtControl } from './look-at-control.ts';

const NOW = Date.UTC(2026, 2, 1, 12);
const keys = makeTestKeys();
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** A control whose first message is this. */
async function control(first: pb.Outgoing<pb.ControlMessage>) {
  const heard: pb.AgentMessage[] = [];
  const connect: AgentHandlers['connect'] = (call) => {
    call.on('data', (said: pb.AgentMessage) => heard.push(said));
    call.on('error', () => {});
    call.write(first);
  };
  const fake = await startFakeControl({ keys, agent: { connect } });
  closes.push(() => fake.close());
  return { ...fake, heard };
}

const look = (address: string, pin: Uint8Array) => lookAtControl(address, pin, () => NOW, new AbortController().signal);

test('tells how far the clock is off, and says nothing itself', async () => {
  const { address, pin, heard } = await control({ challenge: { nonce: new Uint8Array(32), sentMs: NOW - 3_600_000 } });
  const { aheadMs = 0, tookMs } = await look(address, pin);
  expect(Math.abs(aheadMs + 3_600_000)).toBeLessThanOrEqual(tookMs / 2 + 1);
  expect(heard).toEqual([]);
});

test('of a control that does not say its time', async () => {
  const { address, pin } = await control({ challenge: { nonce: new Uint8Array(32) } });
  expect(await look(address, pin)).toMatchObject({ aheadMs: undefined });
});

test('tells one that is another, one that says something else, and none', async () => {
  const { address, pin } = await control({ revoked: { reason: 'no' } });
  await expect(look(address, pin)).rejects.toThrow('what it said first is no challenge');
  await expect(look(address, new Uint8Array(32))).rejects.toMatchObject({ code: 'pin-mismatch' });
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const free = server.address();
  await new Promise((resolve) => server.close(resolve));
  const port = typeof free === 'object' && free !== null ? free.port : 0;
  await expect(look(`127.0.0.1:${port}`, pin)).rejects.toMatchObject({ code: 'control-unreachable' });
});
