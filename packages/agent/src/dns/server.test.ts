import dgram from 'node:dgram';
import { promises as nodeDns } from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import { CONTROL_RANGE, defined } from '@weft/proto';
import dnsPacket, { type DecodedPacket, type OptRecord } from 'dns-packet';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Histogram } from '../flows/histogram.ts';
import { FakeNetmapSource, sampleNetmap, silentNetmap } from '../netmap/sample.fixture.ts';
import type { Netmap } from '../words/netmap.ts';
import { frameMessage, MessageReader } from './framing.ts';
import { createDnsServer } from './server.ts';
import type { DnsServer } from './types.ts';

const logger = pino({ level: 'silent' });

interface Question {
  readonly name: string;
  readonly type?: string;
  readonly class?: string;
  readonly id?: number;
  readonly opt?: Partial<OptRecord>;
}

function encode({ name, type = 'A', class: klass = 'IN', id = 4242, opt }: Question): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: 0x0100,
    questions: [{ name, type, class: klass }],
    additionals: opt === undefined ? [] : [{ name: '.', type: 'OPT', udpPayloadSize: 1232, ...opt }],
  });
}

/** One client socket; answers in the order they come. */
class UdpClient {
  readonly #socket = dgram.createSocket('udp4');
  readonly #arrived: Buffer[] = [];
  readonly #port: number;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.#port = port;
    this.#socket.on('message', (message) => {
      this.#arrived.push(message);
      this.#wake?.();
    });
  }

  send(packet: Buffer): void {
    this.#socket.send(packet, this.#port, '127.0.0.1');
  }

  async receive(): Promise<Buffer> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async ask(question: Question): Promise<DecodedPacket> {
    this.send(encode(question));
    return dnsPacket.decode(await this.receive());
  }

  close(): void {
    this.#socket.close();
  }
}

async function connectTcp(port: number) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  const messages: DecodedPacket[] = [];
  const reader = new MessageReader((message) => messages.push(dnsPacket.decode(message)));
  socket.on('data', (bytes) => reader.push(bytes));
  socket.on('error', () => {});
  return { socket, messages };
}

/** A service with so many instances that their addresses fill an answer. */
function crowdedNetmap(count: number): Netmap {
  const netmap = sampleNetmap();
  const redis = netmap.services.get('redis');
  if (redis === undefined) throw new Error('the sample has redis');
  const instances = Array.from({ length: count }, (_, ordinal) => ({
    service: 'redis',
    ordinal,
    agentId: 'a',
    address: `127.92.${ordinal >> 8}.${ordinal & 255}`,
    healthy: true,
    notListening: [],
  }));
  return { ...netmap, services: new Map([['redis', { ...redis, instances }]]) };
}

describe('dns server', () => {
  let source: FakeNetmapSource;
  let server: DnsServer;
  let client: UdpClient;
  let controller: AbortController;
  let latency: Record<'internal' | 'forwarded', Histogram>;

  beforeEach(async () => {
    controller = new AbortController();
    latency = { internal: new Histogram([0.001, 1]), forwarded: new Histogram([0.001, 1]) };
    source = new FakeNetmapSource(sampleNetmap());
    server = await createDnsServer({
      listen: { host: '127.0.0.1', port: 0 },
      netmap: source,
      range: CONTROL_RANGE,
      upstreams: [],
      latency,
      logger,
      signal: controller.signal,
    });
    client = new UdpClient(server.address.port);
  });

  afterEach(async () => {
    client.close();
    controller.abort();
    await server.close();
  });

  it('answers over UDP with AA, RD and RA set, and the asker’s own case', async () => {
    const answer = await client.ask({ name: 'ReDiS.InTernal' });
    expect(answer).toMatchObject({
      id: 4242,
      rcode: 'NOERROR',
      flag_aa: true,
      flag_ra: true,
      flag_rd: true,
      flag_tc: false,
    });
    expect(answer.questions[0]?.name).toBe('ReDiS.InTernal');
    expect(answer.answers).toMatchObject([{ name: 'ReDiS.InTernal', type: 'A', ttl: 5, data: '127.91.0.1' }]);
  });

  it('answers from finished bytes under the new id, and drops them at a swap', async () => {
    await client.ask({ name: 'redis.internal', id: 1 });
    const second = await client.ask({ name: 'redis.internal', id: 2 });
    expect(second).toMatchObject({ id: 2, answers: [{ data: '127.91.0.1' }] });
    expect(server.counters).toMatchObject({ queries: 2, internal: 2, cached: 1 });
    source.swap(sampleNetmap({ services: new Map() }));
    expect(await client.ask({ name: 'redis.internal', id: 3 })).toMatchObject({ id: 3, rcode: 'NXDOMAIN' });
    expect(server.counters.cached).toBe(1);
  });

  it('counts answers by what they say and how long they took, finished bytes among them', async () => {
    for (const name of ['redis.internal', 'nobody.internal', 'nobody.internal', 'example.org'])
      await client.ask({ name });
    expect(server.counters).toMatchObject({ queries: 4, internal: 3, missing: 2, cached: 1, forwardFailed: 1 });
    expect(latency.internal.counts.reduce((sum, count) => sum + count)).toBe(3);
    expect(latency.forwarded.counts.reduce((sum, count) => sum + count)).toBe(1);
  });

  it('sends NXDOMAIN with the SOA for what has no name', async () => {
    const answer = await client.ask({ name: 'mailer.internal' });
    expect(answer).toMatchObject({ rcode: 'NXDOMAIN', authorities: [{ name: 'internal', type: 'SOA', ttl: 5 }] });
  });

  it('says SERVFAIL until control has spoken', async () => {
    source.swap(silentNetmap());
    expect(await client.ask({ name: 'redis.internal' })).toMatchObject({ rcode: 'SERVFAIL', flag_aa: false });
  });

  it('says SERVFAIL where answering fails, and counts that', async () => {
    const failing = {
      get: () => {
        throw new Error('out of luck');
      },
    };
    source.swap(sampleNetmap({ services: failing as unknown as Netmap['services'] }));
    expect(await client.ask({ name: 'redis.internal' })).toMatchObject({ rcode: 'SERVFAIL' });
    expect(server.counters).toMatchObject({ queries: 1, internal: 0, failed: 1 });
  });

  it('echoes OPT with DO, and none to who sent none', async () => {
    const answer = await client.ask({ name: 'redis.internal', opt: { flags: 0x8000 } });
    expect(answer.additionals).toMatchObject([{ type: 'OPT', ednsVersion: 0, flags: 0x8000, udpPayloadSize: 1232 }]);
    expect((await client.ask({ name: 'redis.internal' })).additionals).toEqual([]);
  });

  it('refuses what it does not do', async () => {
    const badVersion = await client.ask({ name: 'redis.internal', opt: { ednsVersion: 1 } });
    expect(badVersion.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1 }]);
    expect(badVersion.answers).toEqual([]);
    expect(await client.ask({ name: 'version.bind', type: 'TXT', class: 'CH' })).toMatchObject({ rcode: 'REFUSED' });
    expect(await client.ask({ name: 'internal', type: 'AXFR' })).toMatchObject({ rcode: 'REFUSED' });
    const update = encode({ name: 'redis.internal' });
    update.writeUInt16BE(5 << 11, 2);
    client.send(update);
    expect(dnsPacket.decode(await client.receive())).toMatchObject({ rcode: 'NOTIMP', id: 4242 });
    const two = encode({ name: 'redis.internal' });
    two.writeUInt16BE(2, 4);
    client.send(two);
    expect(dnsPacket.decode(await client.receive())).toMatchObject({ rcode: 'FORMERR', id: 4242 });
    expect(server.counters.rejected).toBe(5);
  });

  it('never answers an answer or a stump', async () => {
    const response = encode({ name: 'redis.internal', id: 1 });
    response.writeUInt16BE(0x8000, 2);
    client.send(response);
    client.send(Buffer.alloc(11));
    client.send(Buffer.alloc(0));
    expect(await client.ask({ name: 'redis.internal', id: 2 })).toMatchObject({ id: 2 });
    expect(server.counters.dropped).toBe(3);
  });

  it('truncates over UDP to what the asker takes, and sends all over TCP', async () => {
    source.swap(crowdedNetmap(200));
    const question = { name: 'redis-discovery.internal' };
    for (const [opt, most] of [
      [undefined, 512],
      [{ udpPayloadSize: 100 }, 512],
      [{ udpPayloadSize: 1232 }, 1232],
    ] as const) {
      client.send(encode({ ...question, ...defined({ opt }) }));
      const bytes = await client.receive();
      const answer = dnsPacket.decode(bytes);
      expect(answer.flag_tc).toBe(true);
      expect(bytes.length).toBeLessThanOrEqual(most);
      expect(bytes.length).toBeGreaterThan(most - 32);
      expect(answer.answers.length).toBeGreaterThan(20);
    }
    const whole = await client.ask({ ...question, opt: { udpPayloadSize: 65_535 } });
    expect(whole).toMatchObject({ flag_tc: false });
    expect(whole.answers).toHaveLength(200);
    const { socket, messages } = await connectTcp(server.address.port);
    socket.end(frameMessage(encode(question)));
    await once(socket, 'close');
    expect(messages[0]).toMatchObject({ flag_tc: false });
    expect(new Set(messages[0]?.answers.map(({ data }) => data)).size).toBe(200);
  });

  it('leaves additional records out before it truncates', async () => {
    source.swap(crowdedNetmap(9));
    const answer = await client.ask({ name: '_6379._tcp.redis.internal', type: 'SRV' });
    expect(answer).toMatchObject({ flag_tc: false, additionals: [] });
    expect(answer.answers).toHaveLength(9);
    const roomy = await client.ask({ name: '_6379._tcp.redis.internal', type: 'SRV', opt: { udpPayloadSize: 4096 } });
    expect(roomy.additionals.filter(({ type }) => type === 'A')).toHaveLength(9);
  });

  it('answers every question of a TCP connection, however the bytes are cut, and after its half-close', async () => {
    const { socket, messages } = await connectTcp(server.address.port);
    const ids = Array.from({ length: 100 }, (_, id) => id);
    const stream = Buffer.concat(ids.map((id) => frameMessage(encode({ name: 'redis.internal', id }))));
    for (let offset = 0; offset < stream.length; offset += 701) socket.write(stream.subarray(offset, offset + 701));
    socket.end();
    await once(socket, 'close');
    expect(messages.map(({ id }) => id)).toEqual(ids);
  });

  it('closes a TCP connection that sends no questions', async () => {
    const { socket } = await connectTcp(server.address.port);
    socket.write(frameMessage(Buffer.from('no')));
    await once(socket, 'close');
    expect(await client.ask({ name: 'redis.internal' })).toMatchObject({ rcode: 'NOERROR' });
  });

  it('lets the quietest TCP connection go when there are too many', async () => {
    const first = await connectTcp(server.address.port);
    const others = await Promise.all(Array.from({ length: 256 }, () => connectTcp(server.address.port)));
    if (!first.socket.closed) await once(first.socket, 'close');
    const last = others.at(-1);
    last?.socket.end(frameMessage(encode({ name: 'redis.internal' })));
    if (last !== undefined) await once(last.socket, 'close');
    expect(last?.messages).toHaveLength(1);
    for (const { socket } of others) socket.destroy();
  });

  it('suits node’s own resolver', async () => {
    const resolver = new nodeDns.Resolver();
    resolver.setServers([`127.0.0.1:${server.address.port}`]);
    expect(await resolver.resolve4('redis.internal', { ttl: true })).toEqual([{ address: '127.91.0.1', ttl: 5 }]);
    expect(await resolver.reverse('127.91.9.3')).toEqual(['build-3.host.internal']);
    expect(await resolver.resolveSrv('_6379._tcp.redis.internal')).toHaveLength(2);
    await expect(resolver.resolve6('redis.internal')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolve4('mailer.internal')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    source.swap(crowdedNetmap(300));
    expect(await resolver.resolve4('redis-discovery.internal')).toHaveLength(300);
  });

  it('answers every message with a whole question header, whatever follows it', async () => {
    const base = encode({ name: 'redis.internal', opt: {} });
    const mutated = fc
      .array(fc.record({ at: fc.nat(base.length - 1), value: fc.nat(255) }), { maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(base);
        for (const { at, value } of changes) bytes.writeUInt8(value, at);
        return bytes;
      });
    const random = fc.uint8Array({ minLength: 12, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    const cut = fc.nat({ max: base.length - 12 }).map((off) => Buffer.from(base.subarray(0, base.length - off)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, random, cut), async (bytes) => {
        bytes.writeUInt8(bytes.readUInt8(2) & 0x7f, 2);
        client.send(bytes);
        const answer = await client.receive();
        expect(answer.readUInt16BE(0)).toBe(bytes.readUInt16BE(0));
        expect(answer.readUInt8(2) & 0x80).toBe(0x80);
      }),
      { numRuns: 400 },
    );
  });

  it('names a taken port', async () => {
    const taken = {
      listen: { host: '127.0.0.1', port: server.address.port },
      netmap: source,
      range: CONTROL_RANGE,
      upstreams: [],
      logger,
    };
    await expect(createDnsServer({ ...taken, signal: controller.signal })).rejects.toMatchObject({
      code: 'taken',
      message: expect.stringContaining('choose another with --dns HOST:PORT'),
    });
  });

  it('ends with its signal', async () => {
    const { socket } = await connectTcp(server.address.port);
    const ended = once(socket, 'close');
    controller.abort();
    await server.close();
    await ended;
  });
});
