/** Two UDP paths joined in memory: the network between them, and its addresses, are the test's. */
import { describe, expect, it } from 'vitest';
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
import { startSeal } from '../protocol/noise/cipher.ts';
import { sessions } from '../protocol/noise/pair.fixture.ts';
import type { Session } from '../protocol/noise/session.ts';
import { DatagramPath } from './datagram-path.ts';
import type { DatagramAddress, PacketReceiver } from './datagram-port.ts';

const HOME: DatagramAddress = { address: '192.0.2.1', port: 7410 };
const VICTIM: DatagramAddress = { address: '198.51.100.7', port: 53 };

class End {
  readonly sent: { readonly packet: Buffer; readonly to: DatagramAddress }[] = [];
  readonly receivers = new Map<number, PacketReceiver>();
  readonly heard: string[] = [];
  readonly path: DatagramPath;
  #index = 0;

  constructor(clock: { now: number }, candidate: DatagramAddress | undefined) {
    this.path = new DatagramPath(
      {
        port: {
          newIndex: () => ++this.#index,
          newProbeId: () => 1_000_000 + ++this.#index,
          reaches: () => true,
          register: (index, receiver) => this.receivers.set(index, receiver),
          unregister: (index) => this.receivers.delete(index),
          send: (packet, to) => this.sent.push({ packet, to }),
        },
        now: () => clock.now,
        datagram: (_id, payload) => this.heard.push(payload.toString()) > 0,
        dropped: () => undefined,
        violated: (message) => this.heard.push(`violated: ${message}`),
        flushSoon: () => undefined,
      },
      candidate,
    );
  }

  /** Takes what the other end has sent, as if it came from `from`. */
  take(other: End, from: DatagramAddress): void {
    for (const { packet } of other.sent.splice(0)) {
      this.receivers.get(packet.readUInt32BE(1))?.(packet, from);
      this.path.flush();
    }
  }
}

/** `b` dialled `a`; both have a flow, and a path that was proven in packets of the greatest size. */
function proven() {
  const clock = { now: 0 };
  const pair = sessions('AESGCM');
  const a = new End(clock, undefined);
  const b = new End(clock, { address: '192.0.2.2', port: 7410 });
  const limit = { packetLimit: GREATEST_PACKET_LIMIT };
  a.path.add(pair.responder, { index: 100, ...limit }, { index: 200, ...limit }).send();
  b.path.add(pair.initiator, { index: 200, ...limit }, { index: 100, ...limit }).send();
  a.path.flowOpened();
  b.path.flowOpened();
  for (let turn = 0; turn < 4; turn++) {
    clock.now += 1_000;
    a.take(b, HOME);
    b.take(a, { address: '192.0.2.2', port: 7410 });
    a.path.tick();
    b.path.tick();
  }
  expect([a.path.proven, b.path.proven]).toEqual([true, true]);
  a.sent.length = 0;
  b.sent.length = 0;
  return { a, b, clock, session: pair.initiator };
}

/** A packet of the dialling side, sealed with its own keys and by no manners of ours. */
function sealed(session: Session, counter: number, items: Buffer): Buffer {
  const header = Buffer.alloc(PACKET_HEADER);
  header[0] = PACKET_TYPE;
  header.writeUInt32BE(100, INDEX_AT);
  header.writeUInt32BE(counter, COUNTER_AT + 4);
  const sealing = startSeal(session.cipher, session.datagramSendKey, counter, header, items.length);
  const body = sealing.update(items);
  sealing.final();
  return Buffer.concat([header, body, sealing.getAuthTag()]);
}

describe('the UDP path', () => {
  it('keeps to the packet limit of a renewed session, though larger packets were proven before', () => {
    const { a } = proven();
    const renewed = sessions('ChaChaPoly').responder;
    const peer = { index: 201, packetLimit: LEAST_PACKET_LIMIT };
    a.path.add(renewed, { index: 101, packetLimit: GREATEST_PACKET_LIMIT }, peer).send();
    expect(a.path.send(7, Buffer.alloc(1_300))).toBe(false);
    expect(a.path.send(7, Buffer.alloc(1_000))).toBe(true);
    a.path.flush();
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
    b.path.send(7, Buffer.from('hello'));
    b.path.flush();
    a.take(b, VICTIM);
    expect(a.heard).toEqual(['hello']);
    expect(a.path.send(7, Buffer.alloc(1_000))).toBe(false);
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

  it('answers a packet full of probes with a packet or two, not with one for each', () => {
    const { a, session } = proven();
    const probes = Buffer.alloc(190 * ITEM_HEADER);
    for (let at = 0; at < probes.length; at += ITEM_HEADER) probes.writeUInt8(ITEM.probe, at);
    a.receivers.get(100)?.(sealed(session, 1_000, probes), HOME);
    a.path.flush();
    expect(a.sent.length).toBeGreaterThan(0);
    expect(a.sent.length).toBeLessThanOrEqual(2);
  });
});
