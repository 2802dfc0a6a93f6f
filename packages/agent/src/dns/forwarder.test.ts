import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_RANGE, defined, parseHostPort } from '@weft/proto';
import dnsPacket, { type DecodedPacket, type Packet } from 'dns-packet';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeNetmapSource, sampleNetmap } from '../netmap/sample.fixture.ts';
import { frameMessage, MessageReader } from './framing.ts';
import { createDnsServer } from './server.ts';
import type { DnsServer } from './types.ts';
import { leadsTo, parseResolvConf, resolvConfUpstreams } from './upstreams.ts';

const logger = pino({ level: 'silent' });
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Behaviour = (query: DecodedPacket, reply: (bytes: Buffer) => void, bytes: Buffer) => void;

/** A resolver of the outer world: does as it is told, and counts. */
async function startUpstream(udp: Behaviour, tcp: Behaviour = udp) {
  const seen: { id: number; transport: 'udp' | 'tcp'; port: number }[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    const reader = new MessageReader((bytes) => {
      seen.push({ id: bytes.readUInt16BE(0), transport: 'tcp', port: socket.remotePort ?? 0 });
      tcp(dnsPacket.decode(bytes), (answer) => socket.write(frameMessage(answer)), bytes);
    });
    socket.on('data', (bytes) => reader.push(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const socket = dgram.createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (bytes, from) => {
    seen.push({ id: bytes.readUInt16BE(0), transport: 'udp', port: from.port });
    udp(dnsPacket.decode(bytes), (answer) => socket.send(answer, from.port, from.address), bytes);
  });
  cleanups.push(() => {
    socket.close();
    server.close();
  });
  return { address: `127.0.0.1:${port}`, seen };
}

function answerTo(query: DecodedPacket, data: string, overrides: Partial<Packet> = {}): Buffer {
  const [question] = query.questions;
  return dnsPacket.encode({
    type: 'response',
    id: query.id,
    flags: 0x0180,
    questions: query.questions,
    answers: [{ name: question?.name ?? '.', type: 'A', ttl: 60, data }],
    ...overrides,
  });
}

const answers =
  (data: string, overrides: Partial<Packet> = {}): Behaviour =>
  (query, reply) =>
    reply(answerTo(query, data, overrides));
const silent: Behaviour = () => {};
const SERVFAIL = { flags: 2, answers: [] };

interface Served {
  readonly upstreams?: string[];
  readonly resolvConfPath?: string;
  readonly forwardTimeoutMs?: number;
}

async function startServer({ upstreams, ...options }: Served) {
  const controller = new AbortController();
  const netmap = new FakeNetmapSource(sampleNetmap());
  const server = await createDnsServer({
    listen: { host: '127.0.0.1', port: 0 },
    netmap,
    range: CONTROL_RANGE,
    logger,
    signal: controller.signal,
    ...options,
    ...defined({ upstreams: upstreams?.map((text) => parseHostPort(text) ?? { host: '', port: 0 }) }),
  });
  cleanups.push(async () => {
    controller.abort();
    await server.close();
  });
  return server;
}

async function ask(server: DnsServer, name: string, id = 7): Promise<DecodedPacket> {
  const socket = dgram.createSocket('udp4');
  socket.send(
    dnsPacket.encode({ type: 'query', id, flags: 0x0100, questions: [{ name, type: 'A' }] }),
    server.address.port,
    '127.0.0.1',
  );
  const [bytes] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return dnsPacket.decode(bytes);
}

async function askTcp(server: DnsServer, name: string): Promise<DecodedPacket> {
  const socket = net.connect(server.address.port, '127.0.0.1');
  socket.write(frameMessage(dnsPacket.encode({ type: 'query', id: 7, questions: [{ name, type: 'A' }] })));
  const message = await new Promise<Buffer>((resolve) => {
    const reader = new MessageReader(resolve);
    socket.on('data', (bytes) => reader.push(bytes));
  });
  socket.destroy();
  return dnsPacket.decode(message);
}

describe('forwarder', () => {
  it('sends what is not internal to the resolver and gives its answer back', async () => {
    const upstream = await startUpstream(answers('192.0.2.1'));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'Example.COM')).toMatchObject({
      id: 7,
      rcode: 'NOERROR',
      questions: [{ name: 'Example.COM' }],
      answers: [{ data: '192.0.2.1', ttl: 60 }],
    });
    await ask(server, 'redis.internal');
    await ask(server, 'redis');
    await ask(server, '1.0.91.127.in-addr.arpa');
    expect(upstream.seen).toHaveLength(1);
  });

  it('draws a new id and a new port for each question', async () => {
    const upstream = await startUpstream(answers('192.0.2.1'));
    const server = await startServer({ upstreams: [upstream.address] });
    for (let index = 0; index < 8; index++) await ask(server, `n${index}.example`);
    expect(new Set(upstream.seen.map(({ id }) => id)).size).toBeGreaterThan(5);
    expect(new Set(upstream.seen.map(({ port }) => port)).size).toBeGreaterThan(5);
  });

  it('believes no answer with another id or question', async () => {
    const upstream = await startUpstream((query, reply) => {
      reply(answerTo({ ...query, id: query.id ^ 1 }, '192.0.2.66'));
      reply(answerTo({ ...query, questions: [{ name: 'evil.example', type: 'A' }] }, '192.0.2.66'));
      reply(dnsPacket.encode({ type: 'query', id: query.id, questions: query.questions }));
      reply(Buffer.from('rubbish'));
      reply(answerTo({ ...query, questions: [{ name: 'GOOD.example', type: 'A' }] }, '192.0.2.1'));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'good.example')).toMatchObject({
      questions: [{ name: 'good.example' }],
      answers: [{ data: '192.0.2.1' }],
    });
  });

  it('asks the next resolver when one refuses the connection, fails, or is silent', async () => {
    const closed = await startUpstream(silent);
    await cleanups.pop()?.();
    const failing = await startUpstream(answers('', SERVFAIL));
    const good = await startUpstream(answers('192.0.2.1'));
    const first = await startServer({ upstreams: [closed.address, failing.address, good.address] });
    expect(await ask(first, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
    const mute = await startUpstream(silent);
    const second = await startServer({ upstreams: [mute.address, good.address], forwardTimeoutMs: 500 });
    expect(await ask(second, 'b.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
  });

  it('says SERVFAIL when nobody answers in time, and when there is nobody', async () => {
    const mute = await startUpstream(silent);
    const server = await startServer({ upstreams: [mute.address], forwardTimeoutMs: 200 });
    expect(await ask(server, 'a.example')).toMatchObject({
      id: 7,
      rcode: 'SERVFAIL',
      questions: [{ name: 'a.example' }],
    });
    expect(mute.seen).toHaveLength(3);
    const alone = await startServer({ upstreams: [] });
    expect(await ask(alone, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(alone.counters.forwardFailed).toBe(1);
  });

  it('passes on what resolvers say when none is of use, under the asker’s question', async () => {
    const headerOnly: Behaviour = (_query, reply, bytes) => {
      const header = Buffer.from(bytes.subarray(0, 12));
      header.writeUInt16BE(0x8005, 2);
      header.fill(0, 4);
      reply(header);
    };
    const upstream = await startUpstream(headerOnly);
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'REFUSED', questions: [{ name: 'a.example' }] });
  });

  it('fetches over TCP what was truncated, for who asked over TCP', async () => {
    const cut = answers('192.0.2.1', { flags: 0x0380, answers: [] });
    const upstream = await startUpstream(cut, answers('192.0.2.2'));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ flag_tc: true, answers: [] });
    expect(await askTcp(server, 'a.example')).toMatchObject({ flag_tc: false, answers: [{ data: '192.0.2.2' }] });
    expect(upstream.seen.map(({ transport }) => transport)).toEqual(['udp', 'udp', 'tcp']);
  });

  it('cuts an answer that is larger than the asker takes', async () => {
    const many = Array.from({ length: 60 }, () => ({
      name: 'a.example',
      type: 'A' as const,
      ttl: 1,
      data: '192.0.2.1',
    }));
    const upstream = await startUpstream(answers('', { answers: many }));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ flag_tc: true, answers: [] });
    expect((await askTcp(server, 'a.example')).answers).toHaveLength(60);
  });

  it('asks once for all who ask the same', async () => {
    let release: (() => void) | undefined;
    const upstream = await startUpstream((query, reply) => {
      release = () => reply(answerTo(query, '192.0.2.1'));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    const asked = [1, 2, 3].map((id) => ask(server, 'a.example', id));
    await expect.poll(() => server.counters.queries).toBe(3);
    release?.();
    expect((await Promise.all(asked)).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(upstream.seen).toHaveLength(1);
  });

  it('ends a loop through another resolver', async () => {
    let asked = 0;
    const address: { port?: number } = {};
    const loop = await startUpstream((_query, _reply, bytes) => {
      asked++;
      const socket = dgram.createSocket('udp4');
      cleanups.push(() => socket.close());
      socket.send(bytes, address.port ?? 0, '127.0.0.1');
    });
    const server = await startServer({ upstreams: [loop.address], forwardTimeoutMs: 300 });
    address.port = server.address.port;
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(asked).toBe(3);
  });

  it('takes addresses of this host out of answers, wherever they stand, and counts them', async () => {
    const records = (...data: string[]) =>
      data.map(
        (each) => ({ name: 'evil.example', type: each.includes(':') ? 'AAAA' : 'A', ttl: 60, data: each }) as const,
      );
    const upstream = await startUpstream((query, reply) => {
      const own = ['127.80.0.2', '127.0.0.1', '0.0.0.0', '::1', '::', '::ffff:127.80.0.2'];
      const cname = { name: 'evil.example', type: 'CNAME', data: 'x.example', ttl: 60 } as const;
      reply(
        answerTo(query, '', {
          answers: [cname, ...records(...own, '203.0.113.7', '2001:db8::7')],
          additionals: records('127.80.0.3'),
        }),
      );
    });
    const server = await startServer({ upstreams: [upstream.address] });
    const answer = await ask(server, 'evil.example');
    expect(answer.answers?.map((record) => ('data' in record ? record.data : ''))).toEqual([
      'x.example',
      '203.0.113.7',
      '2001:db8::7',
    ]);
    expect(answer.additionals).toEqual([]);
    expect(server.counters.addressesDropped).toBe(7);
  });

  it('takes the addresses that service bindings hint at for what they are', async () => {
    const hint = (key: number, address: Buffer) => {
      const head = Buffer.alloc(7);
      head.writeUInt16BE(1, 0);
      head.writeUInt16BE(key, 3);
      head.writeUInt16BE(address.length, 5);
      return Buffer.concat([head, address]);
    };
    const data = [hint(4, Buffer.from([127, 80, 0, 2])), hint(6, Buffer.concat([Buffer.alloc(15), Buffer.of(1)]))];
    const upstream = await startUpstream((query, reply) => {
      const answers = [...data, hint(4, Buffer.from([203, 0, 113, 7]))].map(
        (each) => ({ name: 'evil.example', type: 'UNKNOWN_65', ttl: 60, data: each }) as never,
      );
      reply(answerTo(query, '', { answers }));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect((await ask(server, 'evil.example')).answers).toHaveLength(1);
    expect(server.counters.addressesDropped).toBe(2);
  });

  it('leaves localhost to itself, and what it cannot read to nobody', async () => {
    const upstream = await startUpstream((query, reply) => {
      const answer = answerTo(query, '127.0.0.1');
      reply(query.questions?.[0]?.name === 'torn.example' ? answer.subarray(0, -2) : answer);
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect((await ask(server, 'db.localhost')).answers).toMatchObject([{ data: '127.0.0.1' }]);
    expect(await ask(server, 'torn.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });

  it('sends deeper names under internal on that nothing here ends in, and no other', async () => {
    const upstream = await startUpstream(answers('203.0.113.9'));
    const server = await startServer({ upstreams: [upstream.address] });
    for (const name of ['metadata.google.internal', 'ip-10-0-0-1.ec2.internal', 'host.docker.internal']) {
      expect((await ask(server, name)).answers).toMatchObject([{ data: '203.0.113.9' }]);
    }
    const ours = [
      'nobody.internal',
      'internal',
      'a.b.redis.internal',
      '9.redis.internal',
      'x.redis-discovery.internal',
    ];
    for (const name of [
      ...ours,
      'x.host.internal',
      '_1._tcp.nobody.internal',
      'a._b.google.internal',
      'x.mailer.internal',
    ]) {
      expect([name, (await ask(server, name)).answers]).toEqual([name, []]);
    }
    expect(upstream.seen).toHaveLength(3);
  });

  it('gives who asks over TCP no truncated answer when the resolver takes no TCP', async () => {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    cleanups.push(() => socket.close());
    socket.on('message', (bytes, from) => {
      const answer = answerTo(dnsPacket.decode(bytes), '203.0.113.9', { flags: 0x0380, answers: [] });
      socket.send(answer, from.port, from.address);
    });
    const server = await startServer({ upstreams: [`127.0.0.1:${socket.address().port}`] });
    expect(await askTcp(server, 'large.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });

  it('asks one resolver that is silent once, and the others from then on, until it answers again', async () => {
    let mute: boolean = true;
    const first = await startUpstream((query, reply) => {
      if (!mute) reply(answerTo(query, '203.0.113.1'));
    });
    const second = await startUpstream(answers('203.0.113.2'));
    const server = await startServer({ upstreams: [first.address, second.address], forwardTimeoutMs: 1_000 });
    for (const name of ['a.example', 'b.example', 'c.example']) {
      expect((await ask(server, name)).answers).toMatchObject([{ data: '203.0.113.2' }]);
    }
    expect(first.seen).toHaveLength(1);
    mute = false;
  });

  it('asks once for all who ask the same, whatever their case and options', async () => {
    const waiting: (() => void)[] = [];
    const upstream = await startUpstream(
      (query, reply) => void waiting.push(() => reply(answerTo(query, '203.0.113.3'))),
    );
    const server = await startServer({ upstreams: [upstream.address] });
    const cookie = (byte: number) => ({
      type: 'OPT' as const,
      name: '.',
      udpPayloadSize: 1_232 + byte,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [{ code: 10, data: Buffer.alloc(8, byte) }],
    });
    const asked = ['same.example', 'SAME.example', 'same.EXAMPLE'].map(async (name, index) => {
      const socket = dgram.createSocket('udp4');
      const questions = [{ name, type: 'A' as const }];
      const packet = { type: 'query' as const, id: index, flags: 0x0100, questions, additionals: [cookie(index)] };
      socket.send(dnsPacket.encode(packet as never), server.address.port, '127.0.0.1');
      const [bytes] = (await once(socket, 'message')) as [Buffer];
      socket.close();
      const { id, questions: repeated } = dnsPacket.decode(bytes);
      expect([id, repeated?.[0]?.name]).toEqual([index, name]);
    });
    await expect.poll(() => waiting.length).toBe(1);
    await expect.poll(() => server.counters.queries).toBe(3);
    for (const answer of waiting) answer();
    await Promise.all(asked);
    expect(upstream.seen).toHaveLength(1);
  });

  it('answers everyone who waits when it ends', async () => {
    const mute = await startUpstream(silent);
    const server = await startServer({ upstreams: [mute.address] });
    const socket = net.connect(server.address.port, '127.0.0.1');
    socket.write(
      frameMessage(dnsPacket.encode({ type: 'query', id: 7, questions: [{ name: 'a.example', type: 'A' }] })),
    );
    await expect.poll(() => mute.seen.length).toBe(1);
    socket.resume();
    const ended = once(socket, 'close');
    await server.close();
    await ended;
    expect(server.counters.forwardFailed).toBe(1);
  });
});

describe('upstreams', () => {
  const own = { host: '127.0.0.1', port: 53 };

  it('reads whom a stub asks, and not the stub', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-resolv-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const [path, behind] = [join(directory, 'resolv.conf'), join(directory, 'behind')];
    writeFileSync(path, 'nameserver 127.0.0.53\noptions edns0\n');
    const read = () => resolvConfUpstreams(path, own, logger, undefined, behind)();
    expect(read()).toEqual([{ host: '127.0.0.53', port: 53 }]);
    writeFileSync(behind, 'nameserver 10.0.0.2\nnameserver 127.0.0.1\n');
    expect(read()).toEqual([{ host: '10.0.0.2', port: 53 }]);
  });

  it('reads resolv.conf as libc does', () => {
    const text =
      '# c\nnameserver 10.0.0.2\n  nameserver\tfe80::1%eth0 # x\nsearch internal\nnameserver nowhere\nnameserver\n;nameserver 10.9.9.9';
    expect(parseResolvConf(text).map(({ host }) => host)).toEqual(['10.0.0.2', 'fe80::1%eth0']);
  });

  it('knows what leads back here', () => {
    expect(leadsTo(own, { host: '127.0.0.1', port: 53 })).toBe(true);
    expect(leadsTo(own, { host: '0.0.0.0', port: 53 })).toBe(true);
    expect(leadsTo(own, { host: '127.0.0.53', port: 53 })).toBe(false);
    expect(leadsTo(own, { host: '127.0.0.1', port: 54 })).toBe(false);
    expect(leadsTo({ host: '0.0.0.0', port: 53 }, { host: '127.0.0.53', port: 53 })).toBe(true);
    expect(leadsTo({ host: '0.0.0.0', port: 53 }, { host: '192.0.2.1', port: 53 })).toBe(false);
  });

  it('skips itself, takes three, and keeps what it knew while the file is away', () => {
    const dir = mkdtempSync(join(tmpdir(), 'weft-dns-'));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const path = join(dir, 'resolv.conf');
    const lines = (...hosts: string[]): string => hosts.map((host) => `nameserver ${host}\n`).join('');
    writeFileSync(path, lines('127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'));
    let now = 0;
    const upstreams = resolvConfUpstreams(path, own, logger, () => now);
    const hosts = (): string[] => upstreams().map(({ host }) => host);
    expect(hosts()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    writeFileSync(join(dir, 'next'), lines('10.0.0.9'));
    renameSync(join(dir, 'next'), path);
    expect(hosts()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    rmSync(path);
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    writeFileSync(path, lines('127.0.0.1'));
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    writeFileSync(path, '# no resolver at all\n');
    now += 2000;
    expect(hosts()).toEqual([]);
    writeFileSync(path, lines('127.0.0.1'));
    now += 2000;
    expect(hosts()).toEqual([]);
  });

  it('answers all the same when there is no file', async () => {
    const server = await startServer({ resolvConfPath: join(tmpdir(), 'weft-no-such-file') });
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });
});
