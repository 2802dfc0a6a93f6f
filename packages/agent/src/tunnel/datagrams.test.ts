import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { inPlaceKeys } from '../protocol/noise/pair.fixture.ts';
import { InPlace } from '../protocol/record/in-place.ts';
import type { DatagramConduit } from '../words/conduit.ts';
import { openRequest, type TestAgent, TestNetwork, until } from './agents.fixture.ts';

let network: TestNetwork;
let relay: Relay | undefined;

beforeEach(() => {
  network = new TestNetwork();
});
afterEach(() => {
  network.close();
  relay?.close();
  relay = undefined;
});

/** alice dials bob through a relay that counts datagrams. */
async function pair(
  options: { readonly datagrams?: boolean } = {},
): Promise<{ alice: TestAgent; bob: TestAgent; relay: Relay }> {
  const settings = { tick: 20 };
  const alice = await network.agent('alice', { settings });
  const bob = await network.agent('bob', { settings });
  relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port }, ...options });
  network.moveTo('bob', [relay.endpoint]);
  return { alice, bob, relay };
}

class Flow {
  readonly received: Buffer[] = [];
  /** By `echoed`. */
  readonly sent: Buffer[] = [];
  closed: boolean = false;
  readonly conduit: DatagramConduit;

  constructor(conduit: DatagramConduit) {
    this.conduit = conduit;
    conduit.attach({
      datagram: (payload) => this.received.push(Buffer.from(payload)),
      closed: () => {
        this.closed = true;
      },
    });
  }

  static async open(from: TestAgent, to: string): Promise<Flow> {
    const opened = await from.tunnels.openDatagrams(...forged(to, openRequest('udp')), new Deadline(5000));
    if (!opened.opened) throw new Error('refused');
    return new Flow(opened.conduit);
  }

  /** Sends until the echo came back, as UDP programs do; echoes of what was sent often before may come first. */
  async echoed(payload: Buffer): Promise<void> {
    const before = this.received.length;
    const came = () => this.received.slice(before).some((echo) => echo.equals(payload));
    await until(() => {
      if (!came()) {
        this.conduit.send(payload);
        this.sent.push(payload);
      }
      return came();
    });
  }
}

describe('a UDP flow', () => {
  it('travels in sealed packets once the path is proven, and never in the clear', async () => {
    const { alice, relay } = await pair();
    const flow = await Flow.open(alice, 'bob');
    await until(() => relay.datagramsBack >= 2);
    // The relay sees an answer to a probe before alice does.
    await flow.echoed(Buffer.from('warm'));
    const forth = relay.datagramsForth;
    const inTunnel = relay.bytesForth;
    const payload = randomBytes(1200);
    await flow.echoed(payload);
    expect(relay.datagramsForth).toBeGreaterThan(forth);
    expect(relay.bytesForth - inTunnel).toBeLessThan(1200);
  });

  it.each(['seal', 'open'] as const)(
    'of which OpenSSL does not %s a packet costs its tunnel, and the next one carries',
    async (lacking) => {
      const openssl: { lacks: boolean } = { lacks: false };
      const newKey = (...key: Parameters<typeof inPlaceKeys.newKey>) => {
        if (openssl.lacks && key[2] === lacking) throw new Error('OpenSSL makes no context for a cipher');
        return inPlaceKeys.newKey(...key);
      };
      const bob = await network.agent('bob');
      const alice = await network.agent('alice', { inPlace: new InPlace(newKey) });
      openssl.lacks = true;
      const flow = await Flow.open(alice, 'bob');
      await until(() => {
        flow.conduit.send(randomBytes(1_200));
        return flow.closed;
      });
      expect(alice.log.filter(({ event }) => event === 'tunnel-failed').length).toBeGreaterThan(0);
      openssl.lacks = false;
      const next = await Flow.open(alice, 'bob');
      await next.echoed(randomBytes(1_200));
      expect(bob.tunnels.counters.violations).toBe(0);
    },
  );

  it('has its path proven by the first answer, though the port tells addresses of IPv4 as those of IPv6', async () => {
    // No tick, no second round.
    const options = { listen: { host: '::', port: 0 }, settings: { tick: 600_000 } };
    const alice = await network.agent('alice', options);
    await network.agent('bob', options);
    await Flow.open(alice, 'bob');
    await until(() => (alice.tunnels.peerTraffic()[0]?.pathSize ?? 0) > 0);
  });

  it.each([0, 1, 1200, 1364, 1365, 4096, 4097, 9000, 65_507])('keeps a datagram of %i bytes whole', async (size) => {
    const { alice } = await pair();
    const flow = await Flow.open(alice, 'bob');
    const payload = randomBytes(size);
    await flow.echoed(payload);
    await flow.echoed(payload);
  });

  it('goes inside the tunnel where UDP is blocked', async () => {
    const { alice, relay } = await pair({ datagrams: false });
    const flow = await Flow.open(alice, 'bob');
    await flow.echoed(randomBytes(500));
    expect(relay.datagramsForth).toBe(0);
  });

  it('drops what is over 65,507 bytes and counts it', async () => {
    const { alice } = await pair();
    const flow = await Flow.open(alice, 'bob');
    flow.conduit.send(Buffer.alloc(65_508));
    expect(alice.tunnels.counters.datagramsDropped).toBe(1);
  });

  it('puts several small datagrams of one loop turn into one packet, in order', async () => {
    const { alice, relay } = await pair();
    const flow = await Flow.open(alice, 'bob');
    await until(() => relay.datagramsBack >= 2);
    await flow.echoed(Buffer.from('warm'));
    flow.received.length = 0;
    const forth = relay.datagramsForth;
    for (let index = 0; index < 20; index++) flow.conduit.send(Buffer.from(`datagram ${index}`));
    await until(() => flow.received.length >= 20);
    expect(relay.datagramsForth - forth).toBeLessThan(5);
    expect(flow.received.map(String)).toEqual(Array.from({ length: 20 }, (_, index) => `datagram ${index}`));
  });

  it('ends at both ends when one closes it', async () => {
    const { alice, bob } = await pair();
    const accepted = Promise.withResolvers<Flow>();
    bob.datagrams = (inbound) => accepted.resolve(new Flow(inbound.accept()));
    const flow = await Flow.open(alice, 'bob');
    const far = await accepted.promise;
    far.conduit.close();
    await until(() => flow.closed && far.closed);
    flow.conduit.send(Buffer.from('late'));
    expect(bob.tunnels.counters.violations).toBe(0);
  });

  it('works when the side that was dialled opens it', async () => {
    const { alice, bob, relay } = await pair();
    await alice.tunnels.ping('bob', new Deadline(5000));
    const flow = await Flow.open(bob, 'alice');
    await until(() => relay.datagramsBack >= 3);
    await flow.echoed(randomBytes(1000));
    expect(alice.tunnels.counters.open).toBe(1);
  });

  it('goes on through a renewal of the keys', async () => {
    const alice = await network.agent('alice', { settings: { tick: 5, renewal: 20 } });
    await network.agent('bob', { settings: { tick: 5 } });
    const flow = await Flow.open(alice, 'bob');
    await flow.echoed(randomBytes(100));
    const { renewals } = alice.tunnels.counters;
    await until(() => alice.tunnels.counters.renewals > renewals + 3);
    await flow.echoed(randomBytes(100));
    expect(alice.tunnels.counters.violations).toBe(0);
  });
});

describe('the UDP port', () => {
  it('drops and counts what is forged, replayed or rubbish', async () => {
    const { alice, bob, relay } = await pair();
    const flow = await Flow.open(alice, 'bob');
    await until(() => relay.datagramsBack >= 2);
    await flow.echoed(Buffer.from('hello'));
    const before = bob.tunnels.counters.datagramsDropped;
    relay.replayDatagram();
    const stranger = dgram.createSocket('udp4');
    for (const packet of [randomBytes(200), Buffer.alloc(0), randomBytes(9000)]) {
      stranger.send(packet, bob.tunnels.port, '127.0.0.1');
    }
    await until(() => bob.tunnels.counters.datagramsDropped >= before + 4);
    await flow.echoed(Buffer.from('still here'));
    expect(bob.tunnels.counters.violations).toBe(0);
    const hellos = (of: readonly Buffer[]) => of.filter((each) => String(each) === 'hello').length;
    expect(hellos(flow.received)).toBeLessThanOrEqual(hellos(flow.sent));
    stranger.close();
  });
});
