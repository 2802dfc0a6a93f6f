import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { program, Rig, rule, service, until } from '../outbound/rig.fixture.ts';
import type { Opened, OpenRequest, Refusal } from '../words/opening.ts';
import { createFlowHandler } from './handler.ts';
import { HeldDatagrams } from './target-datagrams.ts';

const PORT = 16_380;
const SERVICES = [
  service('redis', 'private', PORT, `${PORT}/udp`),
  service('web', 'web', 13_000),
  service('mailer', 'worker'),
];

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

async function setup() {
  const echo = await program((socket) => void socket.pipe(socket));
  cleanups.push(() => echo.close());
  const rig = await Rig.start({
    services: SERVICES,
    agents: [
      { host: 'a', runs: { web: { '13000/tcp': 1 } } },
      { host: 'r', runs: { redis: { [`${PORT}/tcp`]: echo.port, [`${PORT}/udp`]: echo.port }, mailer: {} } },
      { host: 'idle' },
    ],
  });
  cleanups.push(() => rig.stop());
  return { rig, echo };
}

const honest: OpenRequest = {
  flowId: '0123456789abcdef',
  protocol: 'tcp',
  service: 'redis',
  ordinal: 0,
  port: PORT,
  source: { type: 'service', name: 'web' },
};

/** Opens at `to` past a's own outbound side, as an agent that was tampered with would. */
function open(rig: Rig, changed: Partial<OpenRequest>, to = 'r') {
  return rig.agent('a').tunnels.openStream(...forged(to, { ...honest, ...changed }), new Deadline(9_000));
}

describe('a peer’s request', () => {
  it('is carried when it is honest', async () => {
    const { rig, echo } = await setup();
    const opened = await open(rig, {});
    if (!opened.opened) throw new Error('refused');
    opened.conduit.attach({ data() {}, end() {}, drain() {}, closed() {} });
    opened.conduit.reset();
    await until(() => rig.live === 0);
    expect(echo.callers).toEqual([rig.vip('r', 'web')]);
    expect(rig.records()).toMatchObject([{ id: honest.flowId, outcome: 'reset', source: 'web', instance: 'redis/0' }]);
  });

  it.each<[string, Partial<OpenRequest>, string, string]>([
    ['a worker that runs here', { service: 'mailer' }, 'builtin:worker', 'web'],
    ['a port not declared', { port: 22 }, 'builtin:undeclared-port', 'web'],
    ['a service there is not', { service: 'postgres' }, 'builtin:no-such-service', 'web'],
    [
      'a caller that is another host’s service',
      { source: { type: 'service', name: 'redis' } },
      'builtin:source',
      'redis',
    ],
    [
      'a caller with a name that is none',
      { source: { type: 'service', name: '\u001b[2J<b>' } },
      'builtin:source',
      'host:a',
    ],
    [
      'the internet, though it is no gateway',
      { source: { type: 'internet', address: '203.0.113.9' } },
      'builtin:source',
      'internet',
    ],
  ])('for %s is refused and recorded here', async (_, forged, decided, source) => {
    const { rig, echo } = await setup();
    expect(await open(rig, forged)).toMatchObject({
      opened: false,
      refusal: { code: 'denied', rule: decided, revision: 1 },
    });
    expect(rig.records()).toMatchObject([
      // By its own name, or control would not take the record from it.
      { outcome: 'denied', verdict: 'deny', rule: decided, source, sourceHost: 'a', destinationHost: 'r' },
    ]);
    expect(echo.callers).toEqual([]);
    expect(rig.live).toBe(0);
  });

  it('for an instance that is nowhere is refused before anything is opened', async () => {
    const { rig, echo } = await setup();
    for (const ordinal of [1, 999]) {
      const refusal = { code: 'no-instance', detail: `there is no redis/${ordinal}` };
      expect(await open(rig, { ordinal })).toMatchObject({ opened: false, refusal });
    }
    expect(echo.callers).toEqual([]);
    expect(rig.live).toBe(0);
  });

  it('for a service that does not run here is left to the source to record', async () => {
    const { rig } = await setup();
    expect(await open(rig, {}, 'idle')).toMatchObject({ opened: false, refusal: { code: 'no-instance' } });
    expect(await open(rig, { service: 'web', port: 13_000 })).toMatchObject({
      opened: false,
      refusal: { code: 'no-instance' },
    });
    expect(rig.records()).toEqual([]);
    expect(rig.live).toBe(0);
  });

  it('is held to this agent’s policy, whatever the source’s says', async () => {
    const { rig, echo } = await setup();
    const asHost = { source: { type: 'host' } } as const;
    expect(await open(rig, asHost)).toMatchObject({ opened: true });
    await until(() => echo.callers.length === 1);
    expect(echo.callers).toEqual([rig.hostAddress('r', 'a')]);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'redis')] }, 'r');
    // A host that may run web is not let in by saying that it is not web.
    for (const claimed of [{}, asHost]) {
      expect(await open(rig, claimed)).toMatchObject({
        opened: false,
        refusal: { code: 'denied', rule: 'no-web', revision: 2 },
      });
    }
    expect(echo.callers).toHaveLength(1);
  });

  it('that the source gave up on leaves nothing behind', async () => {
    const { rig } = await setup();
    const given = new Deadline(9_000);
    const opening = rig.agent('a').tunnels.openStream(...forged('r', honest), given);
    given.end(new Error('gave up'));
    await expect(opening).rejects.toThrow('gave up');
    await until(() => rig.live === 0);
    expect(rig.records()).toEqual([]);
  });

  it('that the source gave up on in the moment it was let in is answered all the same, and so does not count on', async () => {
    const { rig } = await setup();
    const { netmap, registry, inbound } = rig.agent('r');
    let gone = false;
    let discarded = 0;
    const opened = <C>(conduit: C): Promise<Opened<C>> => {
      gone = true;
      return Promise.resolve({ opened: true, conduit });
    };
    const end = () => {
      discarded += 1;
    };
    const none = () => true;
    const handler = createFlowHandler({
      netmap,
      registry,
      declared: inbound.services,
      dialer: {
        stream: () =>
          opened({ attach: end, write: none, end, reset: end, resetWhenWritten: end, pause: end, resume: end }),
        datagrams: () => opened({ attach: end, send: end, close: end }),
      },
      held: new HeldDatagrams(),
      log: pino({ level: 'silent' }),
    });
    for (const protocol of ['tcp', 'udp'] as const) {
      const answers: string[] = [];
      const peer = netmap.current.peers.get('a');
      if (peer === undefined) throw new Error('a is no peer of r');
      gone = false;
      const offer = {
        peer,
        request: { ...honest, protocol },
        get gone() {
          return gone;
        },
        onGone: () => undefined,
      };
      const accept = () => {
        throw new Error('accepted');
      };
      const refuse = ({ code }: Refusal) => answers.push(code);
      if (protocol === 'tcp') handler.stream(Object.assign(offer, { accept, refuse }));
      else handler.datagrams(Object.assign(offer, { accept, refuse }));
      await until(() => registry.live === 0);
      expect(answers).toEqual(['no-instance']);
    }
    expect(discarded).toBe(2);
    expect(rig.records()).toEqual([]);
  });

  it('for UDP ends with its idle time or its peer', async () => {
    const { rig, echo } = await setup();
    const server = createSocket('udp4');
    server.bind(echo.port, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const arrived = once(server, 'message');
    const request = { ...honest, protocol: 'udp' } as const;
    const opened = await rig.agent('a').tunnels.openDatagrams(...forged('r', request), new Deadline(9_000));
    if (!opened.opened) throw new Error('refused');
    opened.conduit.attach({ datagram() {}, closed() {} });
    opened.conduit.send(Buffer.from('ping'));
    await arrived;
    opened.conduit.close();
    await until(() => rig.live === 0);
    expect(rig.records()).toMatchObject([{ protocol: 'udp', outcome: 'closed', bytesSent: 4 }]);
  });
});
