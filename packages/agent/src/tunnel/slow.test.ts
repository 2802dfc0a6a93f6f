/** Openings that are answered late, or never, by a peer that is heard meanwhile, or is not. */
import { afterEach, expect, it, onTestFinished } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import type { TunnelSettings } from './settings.ts';

let network: TestNetwork;
afterEach(() => network.close());

/** Alice knows Bob by a relay. */
async function relayed(settings: Partial<TunnelSettings>, delay = 0) {
  network = new TestNetwork();
  const alice = await network.agent('alice', { settings });
  const bob = await network.agent('bob', { settings });
  const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port }, delay, datagrams: false });
  onTestFinished(() => relay.close());
  network.moveTo('bob', [relay.endpoint]);
  return { alice, bob, relay };
}

const ask = (from: TestAgent, deadline: Deadline) => from.tunnels.openStream(...forged('bob', openRequest()), deadline);

it('a call has more time while its peer is heard, and is told from others where none was enough', async () => {
  const { alice, bob } = await relayed({});
  await openStream(alice, 'bob');
  const echoing = bob.stream;
  bob.stream = (inbound) => void setTimeout(() => echoing(inbound), 400);
  expect(await ask(alice, new Deadline(100, 10_000))).toMatchObject({ opened: true });

  bob.stream = () => undefined;
  await expect(ask(alice, new Deadline(100, 700))).rejects.toMatchObject({
    why: 'slow',
    message: 'no answer within 700 ms, though host-bob is heard: the way to it is slow',
  });
});

it('a call has no more time where its peer has fallen silent', async () => {
  const { alice, relay } = await relayed({ tick: 20, heartbeat: 100 });
  await openStream(alice, 'bob');
  relay.stall();
  await expect(ask(alice, new Deadline(300, 60_000))).rejects.toThrow(/^no answer within \d+ ms$/);
});

it('a call goes into a tunnel whose answer is overdue, but which is heard, where none can be dialled', async () => {
  const { alice, bob } = await relayed({ tick: 10, keepalive: 10, suspect: 50 }, 200);
  const echoing = bob.stream;
  let talking: NodeJS.Timeout | undefined;
  bob.stream = (inbound) => {
    const conduit = inbound.accept();
    conduit.attach({ data: () => {}, drain: () => {}, end: () => {}, closed: () => {} });
    talking = setInterval(() => conduit.write(Buffer.from('still here'), true), 20);
  };
  const heard = await openStream(alice, 'bob');
  heard.attach({ data: () => {}, drain: () => {}, end: () => {}, closed: () => {} });
  onTestFinished(() => clearInterval(talking));
  bob.stream = echoing;
  // Nobody listens there.
  network.moveTo('bob', ['127.0.0.1:9']);
  await until(() => !alice.tunnels.promising('bob'));
  expect(await ask(alice, new Deadline(10_000))).toMatchObject({ opened: true });
});
