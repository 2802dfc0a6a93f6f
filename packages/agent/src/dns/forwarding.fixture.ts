/** Resolvers of the outer world that do as they are told, a DNS server that asks them, and who asks it. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { CONTROL_RANGE, defined, parseHostPort } from '@weft/proto';
import dnsPacket, { type DecodedPacket, type Packet } from 'dns-packet';
import { pino } from 'pino';
import { afterEach } from 'vitest';
import { FakeNetmapSource, sampleNetmap } from '../netmap/sample.fixture.ts';
import { frameMessage, MessageReader } from './framing.ts';
import { createDnsServer } from './server.ts';
import type { DnsServer } from './types.ts';

export const logger = pino({ level: 'silent' });
/** What ends after each test, the last first. */
export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export type Behaviour = (query: DecodedPacket, reply: (bytes: Buffer) => void, bytes: Buffer) => void;

/** A resolver of the outer world: does as it is told, and counts. */
export async function startUpstream(udp: Behaviour, tcp: Behaviour = udp) {
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

export function answerTo(query: DecodedPacket, data: string, overrides: Partial<Packet> = {}): Buffer {
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

export const answers =
  (data: string, overrides: Partial<Packet> = {}): Behaviour =>
  (query, reply) =>
    reply(answerTo(query, data, overrides));
export const silent: Behaviour = () => {};
export const SERVFAIL = { flags: 2, answers: [] };

interface Served {
  readonly upstreams?: string[];
  readonly resolvConfPath?: string;
  readonly forwardTimeoutMs?: number;
}

export async function startServer({ upstreams, ...options }: Served) {
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

export async function ask(server: DnsServer, name: string, id = 7): Promise<DecodedPacket> {
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

export async function askTcp(server: DnsServer, name: string): Promise<DecodedPacket> {
  const socket = net.connect(server.address.port, '127.0.0.1');
  socket.write(frameMessage(dnsPacket.encode({ type: 'query', id: 7, questions: [{ name, type: 'A' }] })));
  const message = await new Promise<Buffer>((resolve) => {
    const reader = new MessageReader(resolve);
    socket.on('data', (bytes) => reader.push(bytes));
  });
  socket.destroy();
  return dnsPacket.decode(message);
}
