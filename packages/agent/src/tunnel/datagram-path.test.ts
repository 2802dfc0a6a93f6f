/** Two UDP paths joined in memory: the network between them, and its addresses, are the test's. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  COUNTER_AT,
  GREATEST_PACKET_LIMIT,
  INDEX_AT,
  ITEM,
  ITEM_HEADER,
  LEAST_PACKET_LIMIT,
  PACKET_HEADER,
  PACKET_TYPE,
} from '../protocol/datagram/format.ts';
import { inPlaceKeys, sealedWith, sessions } from '../protocol/noise/pair.fixture.ts';
import type { Session } from '../protocol/noise/session.ts';
import { DatagramPath } from './datagram-path.ts';
import type { DatagramAddress, PacketReceiver } from './datagram-port.ts';
import type { ShownSize } from './path-size.ts';

const HOME: DatagramAddress = { address: '192.0.2.1', port: 7410 };
const VICTIM: DatagramAddress = { address: '198.51.100.7', port: 53 };

/** A flow whose datagrams are heard of when they go inside the tunnel. */
function flow(inside: Buffer[] = []) {
  return { id: 7, sendFrame: (payload: Buffer) => inside.push(payload) > 0 };
}

class End {
  readonly sent: { readonly packet: Buffer; readonly to: DatagramAddress }[] = [];
  readonly receivers = new Map<number, PacketReceiver>();
  readonly heard: string[] = [];
  dropped = 0;
  /** Packets that were shown to be the peer's. */
  proved = 0;
  readonly path: DatagramPath;
  #index = 0;

  constructor(clock: { now: number }, candidate: DatagramAddress | undefined, shown: ShownSize = { size: 0, at: 0 }) {
    this.path = new DatagramPath(
      {
        port: {
          newIndex: () => ++this.#index,
          newProbeId: () => 1_000_000 + ++this.#index,
          placeOf: (address) => address,
          register: (index, receiver) => this.receivers.set(index, receiver),
          unregister: (index) => this.receivers.delete(index),
          send: (packet, to) => this.sent.push({ packet: Buffer.from(packet), to }),
        },
        now: () => clock.now,
        newKey: inPlaceKeys.newKey,
        takes: () => true,
        datagram: (_id, payload) => this.heard.push(payload.toString()) > 0,
        heard: () => {
          this.proved += 1;
        },
        dropped: () => {
          this.dropped += 1;
        },
        violated: (message) => this.heard.push(`violated: ${message}`),
        failed: (error) => {
          throw error;
        },
        flushSoon: () => undefined,
      },
      candidate,
      shown,
    );
  }

  /** Takes what the other end has sent, as if it came from `from`. */
  take(other: End, from: DatagramAddress, mtu = Number.POSITIVE_INFINITY): void {
    for (const { packet } of other.sent.splice(0)) {
      if (packet.length > mtu) continue;
      this.receivers.get(packet.readUInt32BE(1))?.(packet, from);
      this.path.flush();
    }
  }
}

/** `b` dialled `a`; both have a flow. */
function joined() {
  const clock = { now: 0 };
  const pair = sessions('AESGCM');
  const a = new End(clock, undefined);
  const b = new End(clock, { address: '192.0.2.2', port: 7410 });
  const limit = { packetLimit: GREATEST_PACKET_LIMIT };
  a.path.add(pair.responder, { index: 100, ...limit }, { index: 200, ...limit }).send();
  b.path.add(pair.initiator, { index: 200, ...limit }, { index: 100, ...limit }).send();
  a.path.flowOpened();
  b.path.flowOpened();
  /** Seconds on a path that carries packets of up to `mtu` bytes and says nothing of those that it does not. */
  const pass = (seconds: number, mtu?: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.now += 1_000;
      a.take(b, HOME, mtu);
      b.take(a, { address: '192.0.2.2', port: 7410 }, mtu);
      a.take(b, HOME, mtu);
      a.path.tick();
      b.path.tick();
    }
  };
  return { a, b, clock, pass, session: pair.initiator };
}

/** The same, and a path that was proven in packets of the greatest size. */
function proven() {
  const ends = joined();
  ends.pass(4);
  expect([ends.a.path.size, ends.b.path.size]).toEqual([GREATEST_PACKET_LIMIT, GREATEST_PACKET_LIMIT]);
  ends.a.sent.length = 0;
  ends.b.sent.length = 0;
  return ends;
}

/** A packet of the dialling side, sealed with its own keys and by no manners of ours. */
function sealed(session: Session, counter: number, items: Buffer): Buffer {
  const header = Buffer.alloc(PACKET_HEADER);
  header[0] = PACKET_TYPE;
  header.writeUInt32BE(100, INDEX_AT);
  header.writeUInt32BE(counter, COUNTER_AT + 4);
  return Buffer.concat([header, sealedWith(session.datagramSend, counter, header, items)]);
}

describe('the UDP path', () => {
  it('keeps the keys of a session that was renewed while its packets may come, and none when it ends', () => {
    const { a, b, pass } = proven();
    const before = inPlaceKeys.alive;
    const limit = { packetLimit: GREATEST_PACKET_LIMIT };
    const renewed = sessions('AESGCM');
    a.path.add(renewed.responder, { index: 101, ...limit }, { index: 201, ...limit }).send();
    b.path.add(renewed.initiator, { index: 201, ...limit }, { index: 101, ...limit }).send();
    for (const end of [a, b]) expect(end.path.send(flow(), Buffer.alloc(1_200))).toBe(true);
    a.path.flush();
    b.path.flush();
    pass(1);
    // One to seal and one to open, at each end, beside those of before.
    expect(inPlaceKeys.alive - before).toBe(4);
    pass(11);
    expect(inPlaceKeys.alive).toBe(before);
    a.path.close();
    b.path.close();
    expect(inPlaceKeys.alive).toBe(before - 4);
    expect(a.path.send(flow(), Buffer.alloc(1_200))).toBe(true);
    a.path.flush();
    expect(inPlaceKeys.alive).toBe(before - 4);
  });

  it('keeps to the packet limit of a renewed session, though larger packets were proven before', () => {
    const { a } = proven();
    const renewed = sessions('ChaChaPoly').responder;
    const peer = { index: 201, packetLimit: LEAST_PACKET_LIMIT };
    a.path.add(renewed, { index: 101, packetLimit: GREATEST_PACKET_LIMIT }, peer).send();
    const inside: Buffer[] = [];
    expect(a.path.send(flow(inside), Buffer.alloc(1_300))).toBe(true);
    expect(a.path.send(flow(inside), Buffer.alloc(1_000))).toBe(true);
    a.path.flush();
    expect(inside).toEqual([]);
    expect(a.sent.every(({ packet }) => packet.length <= LEAST_PACKET_LIMIT)).toBe(true);
  });

  it('holds few sessions, however often a peer renews', () => {
    const { a } = proven();
    const renewed = sessions('AESGCM').responder;
    const limit = { packetLimit: GREATEST_PACKET_LIMIT };
    for (let round = 1; round <= 1_000; round++) {
      a.path.add(renewed, { index: 1_000 + round, ...limit }, { index: 2_000 + round, ...limit }).send();
    }
    expect(a.receivers.size).toBeLessThanOrEqual(4);
    expect(a.receivers.has(2_000)).toBe(true);
  });

  it('sends no flow to an address that has not answered there', () => {
    const { a, b, clock } = proven();
    // The peer writes another's address into its packets, and answers probes that it cannot have seen.
    b.path.send(flow(), Buffer.from('hello'));
    b.path.flush();
    a.take(b, VICTIM);
    expect(a.heard).toEqual(['hello']);
    const inside: Buffer[] = [];
    a.path.send(flow(inside), Buffer.alloc(1_000));
    expect([a.sent.length, inside.length]).toEqual([0, 1]);
    clock.now += 1_000;
    a.path.tick();
    const probes = a.sent.splice(0);
    expect(probes.map(({ to }) => to)).toEqual([VICTIM, VICTIM]);
    expect(a.path.proven).toBe(false);
    // Where they are answered, the flow goes.
    for (const { packet, to } of probes) b.receivers.get(packet.readUInt32BE(1))?.(packet, to);
    b.path.flush();
    a.take(b, VICTIM);
    expect(a.path.proven).toBe(true);
  });

  it('asks for a sign of the peer though no flow is open, once for who asks often', () => {
    const { a, b, clock } = proven();
    b.path.flowClosed();
    clock.now += 30_000;
    b.path.tick();
    expect(b.sent).toEqual([]);
    const { proved } = b;
    b.path.ask();
    b.path.ask();
    expect(b.sent).toHaveLength(1);
    a.take(b, HOME);
    b.take(a, { address: '192.0.2.2', port: 7410 });
    expect(b.proved).toBe(proved + 1);
  });

  it('takes a packet for a sign of life once, and none that another could have made', () => {
    const { a, b } = joined();
    const proved = a.proved;
    b.path.flush();
    const packets = b.sent.splice(0).map(({ packet }) => packet);
    const [packet] = packets;
    if (packet === undefined) throw new Error('nothing was sent');
    const forged = Buffer.from(packet);
    forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
    for (const each of [forged, packet, packet]) a.receivers.get(each.readUInt32BE(1))?.(each, HOME);
    expect(a.proved - proved).toBe(1);
  });

  it('answers a packet full of probes with a packet or two, not with one for each', () => {
    const { a, session } = proven();
    const probes = Buffer.alloc(190 * ITEM_HEADER);
    for (let at = 0; at < probes.length; at += ITEM_HEADER) probes.writeUInt8(ITEM.probe, at);
    a.receivers.get(100)?.(sealed(session, 1_000, probes), HOME);
    a.path.flush();
    expect(a.sent.length).toBeGreaterThan(0);
    expect(a.sent.length).toBeLessThanOrEqual(2);
  });

  it.each([
    [1_472, 1_400],
    [1_380, 1_372],
    [1_272, 1_252],
    [1_232, 1_200],
    [700, 548],
  ])('finds that a path that drops what is over %i bytes, without a word, carries %i', (mtu, size) => {
    const { a, b, pass } = joined();
    pass(4, mtu);
    expect([a.path.size, b.path.size]).toEqual([size, size]);
  });

  it('finds that a path carries less than it did, and later more again', () => {
    const { a, b, pass } = proven();
    const live = (seconds: number, mtu: number) => {
      for (let second = 0; second < seconds; second++) {
        b.path.send(flow(), Buffer.alloc(10));
        b.path.flush();
        pass(1, mtu);
      }
    };
    live(8, 1_272);
    expect(b.path.size).toBe(1_252);
    live(64, 1_472);
    expect([a.path.size, b.path.size]).toEqual([1_400, 1_400]);
  });

  it('cuts what no packet takes whole into pieces of the proven size, and puts them together in any order', () => {
    const { a, b, pass } = joined();
    pass(4, 1_272);
    b.sent.length = 0;
    const whole: Buffer[] = [];
    Object.assign(a, { heard: { push: (text: string) => whole.push(Buffer.from(text)) } });
    const text = Array.from({ length: 8_000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
    for (const length of [1_216, 1_217, 8_000]) {
      expect(b.path.send(flow(), Buffer.from(text.slice(0, length)))).toBe(true);
      b.path.flush();
      expect(b.sent.every(({ packet }) => packet.length <= 1_252)).toBe(true);
      b.sent.reverse();
      a.take(b, HOME);
      expect(whole.pop()?.toString()).toBe(text.slice(0, length));
    }
  });

  it('lets large datagrams wait for the first answer, a few bytes inside the tunnel meanwhile', () => {
    const { a, b } = joined();
    const inside: Buffer[] = [];
    for (const size of [200, 1_400, 200]) {
      const payload = Buffer.alloc(size, 'x');
      expect(b.path.send(flow(inside), payload)).toBe(true);
      // It was lent.
      payload.fill('!');
    }
    expect(inside.map(({ length }) => length)).toEqual([200]);
    a.take(b, HOME, 1_272);
    b.take(a, { address: '192.0.2.2', port: 7410 }, 1_272);
    b.path.flush();
    expect(inside.map(({ length }) => length)).toEqual([200]);
    a.take(b, HOME, 1_272);
    expect(a.heard.sort((one, other) => other.length - one.length)).toEqual(['x'.repeat(1_400), 'x'.repeat(200)]);
  });

  it('lets a large datagram wait though the first round of probes came before the peer could open it', () => {
    const { a, b, clock } = joined();
    // The round of the tunnel's start is lost, and the flow is opened before the next is due.
    b.sent.length = 0;
    b.path.flowClosed();
    clock.now += 500;
    b.path.flowOpened();
    const inside: Buffer[] = [];
    expect(b.path.send(flow(inside), Buffer.alloc(1_400))).toBe(true);
    expect(inside).toEqual([]);
    a.take(b, HOME, 1_272);
    b.take(a, { address: '192.0.2.2', port: 7410 }, 1_272);
    b.path.flush();
    a.take(b, HOME, 1_272);
    expect([inside.length, a.heard.map(({ length }) => length)]).toEqual([0, [1_400]]);
  });

  it('sends inside the tunnel what waited for an answer that does not come, and lets nothing wait after that', () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { b } = joined();
    const inside: Buffer[] = [];
    for (let count = 0; count < 300; count++) b.path.send(flow(inside), Buffer.alloc(1_400));
    expect(inside).toEqual([]);
    vi.advanceTimersByTime(500);
    // 256 KiB of them, with what each takes: a full path drops.
    expect(inside.length).toBe(179);
    b.path.send(flow(inside), Buffer.alloc(1_400));
    expect(inside.length).toBe(180);
  });

  it('lets a large datagram wait for an address that was learnt meanwhile to answer too', () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { a, b, clock } = joined();
    const inside: Buffer[] = [];
    clock.now += 350;
    b.path.send(flow(inside), Buffer.alloc(1_400));
    a.take(b, HOME, 1_272);
    // The answers come from elsewhere than they were expected.
    b.take(a, VICTIM, 1_272);
    clock.now += 400;
    vi.advanceTimersByTime(400);
    // An answer and a round of probes.
    expect([inside, b.sent.map(({ to }) => to)]).toEqual([[], [VICTIM, VICTIM, VICTIM]]);
    a.take(b, HOME, 1_272);
    b.take(a, VICTIM, 1_272);
    b.path.flush();
    a.take(b, HOME, 1_272);
    expect([inside, a.heard.map(({ length }) => length)]).toEqual([[], [1_400]]);
  });

  it('lets a large answer wait where nothing came beside the tunnel yet, and then go inside', () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { a } = joined();
    const inside: Buffer[] = [];
    expect(a.path.send(flow(inside), Buffer.alloc(1_400))).toBe(true);
    expect(inside).toEqual([]);
    vi.advanceTimersByTime(400);
    expect(inside.map(({ length }) => length)).toEqual([1_400]);
  });

  it('lets nothing into the tunnel that was too large for a path which fell silent, for ten minutes', () => {
    const { a, b, clock, pass } = joined();
    pass(4, 1_272);
    const inside: Buffer[] = [];
    const sizes = () => inside.splice(0).map(({ length }) => length);
    const send = () => {
      b.sent.length = 0;
      for (const size of [100, 1_216, 1_217, 3_000]) expect(b.path.send(flow(inside), Buffer.alloc(size))).toBe(true);
      b.path.flush();
    };
    send();
    for (let second = 0; second < 8; second++) {
      clock.now += 1_000;
      b.path.tick();
    }
    expect([b.path.proven, sizes()]).toEqual([false, []]);
    send();
    expect(sizes()).toEqual([100, 1_216]);
    expect(b.sent.every(({ packet }) => packet.length <= 1_252)).toBe(true);
    a.heard.length = 0;
    a.take(b, HOME, 1_272);
    expect(a.heard.map(({ length }) => length)).toEqual([1_217, 3_000]);
    // UDP is blocked for good, as it seems.
    clock.now += 600_000;
    b.path.tick();
    send();
    expect(sizes()).toEqual([100, 1_216, 1_217, 3_000]);
  });

  it('lets nothing into a new tunnel that was too large for the path of one before', () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const shown = { size: 1_252, at: 0 };
    const { initiator: session } = sessions('AESGCM');
    const [dialled, accepted] = [new End({ now: 100 }, VICTIM, shown), new End({ now: 100 }, undefined, shown)];
    for (const { path } of [dialled, accepted]) {
      path.add(session, { index: 100, packetLimit: 1_400 }, { index: 200, packetLimit: 1_400 }).send();
      path.flowOpened();
    }
    const inside: Buffer[] = [];
    for (const size of [1_217, 1_216]) {
      dialled.path.send(flow(inside), Buffer.alloc(size));
      // It knows no address to send fragments to.
      expect(accepted.path.send(flow(inside), Buffer.alloc(size))).toBe(size === 1_216);
    }
    vi.advanceTimersByTime(500);
    expect(inside.map(({ length }) => length)).toEqual([1_216, 1_216]);
    // Two probes and two fragments, of which none is too large.
    dialled.path.flush();
    expect(dialled.sent.map(({ packet }) => packet.length).filter((length) => length <= 1_252)).toHaveLength(4);
  });

  it('lets nothing into the tunnel that was too large, though the peer changed its address, and sends it to nobody', () => {
    const { a, b, pass } = joined();
    pass(4, 1_272);
    expect(a.path.size).toBe(1_252);
    b.path.flowOpened();
    b.path.send(flow(), Buffer.alloc(100));
    b.path.flush();
    a.take(b, VICTIM, 1_272);
    a.sent.length = 0;
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const inside: Buffer[] = [];
    for (const size of [1_300, 1_300, 100]) a.path.send(flow(inside), Buffer.alloc(size));
    vi.advanceTimersByTime(500);
    a.path.flush();
    expect(inside.map(({ length }) => length)).toEqual([100]);
    expect([a.path.proven, a.dropped]).toEqual([false, 2]);
    // Nothing but probes.
    expect(a.sent.every(({ to }) => to.address === VICTIM.address)).toBe(true);
    expect(a.sent.length).toBeLessThanOrEqual(3);
  });

  it('lets datagrams of any size into the tunnel where a path of full size fell silent', () => {
    const { b, clock } = proven();
    const inside: Buffer[] = [];
    expect(b.path.send(flow(inside), Buffer.alloc(1_300))).toBe(true);
    clock.now += 6_000;
    b.path.tick();
    expect(b.path.send(flow(inside), Buffer.alloc(1_400))).toBe(true);
    expect(inside.map(({ length }) => length)).toEqual([1_400]);
  });

  it('keeps to what a renewed session takes, whatever probes of the one before are answered', () => {
    const { a, b, clock } = joined();
    // b's probes are out; then a renews and takes less, and answers them all the same.
    const probes = b.sent.splice(0);
    const renewed = sessions('AESGCM');
    const [small, large] = [{ packetLimit: LEAST_PACKET_LIMIT }, { packetLimit: GREATEST_PACKET_LIMIT }];
    a.path.add(renewed.responder, { index: 101, ...small }, { index: 201, ...large }).send();
    b.path.add(renewed.initiator, { index: 201, ...large }, { index: 101, ...small }).send();
    b.sent.unshift(...probes);
    a.take(b, HOME);
    b.take(a, { address: '192.0.2.2', port: 7410 });
    expect(b.path.size).toBe(LEAST_PACKET_LIMIT);
    b.sent.length = 0;
    for (const size of [1_300, 3_000]) expect(b.path.send(flow(), Buffer.alloc(size))).toBe(true);
    b.path.flush();
    clock.now += 5_000;
    b.path.tick();
    expect(b.sent.every(({ packet }) => packet.length <= LEAST_PACKET_LIMIT)).toBe(true);
  });
});
