import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminBench, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
const sessions: ClientHttp2Session[] = [];
const sockets: TLSSocket[] = [];
beforeAll(async () => {
  bench = await startAdmin();
});
afterAll(async () => {
  for (const open of [...sessions, ...sockets]) open.destroy();
  await bench.close();
});

async function stranger(): Promise<ClientHttp2Session> {
  const session = connect(`https://${bench.address}`, { rejectUnauthorized: false }).on('error', () => undefined);
  sessions.push(session);
  await once(session, 'remoteSettings');
  return session;
}

function begin(session: ClientHttp2Session, headers: Record<string, string> = {}): ClientHttp2Stream {
  const path = '/grpc.health.v1.Health/Watch';
  const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
  return session.request(fields, { endStream: false }).on('error', () => undefined);
}

const closed = (stream: ClientHttp2Stream) => new Promise((resolve) => stream.on('close', resolve));

/** Begins as many at once as a connection may have open, and takes them back once they are there. */
async function takeBack(session: ClientHttp2Session, count: number): Promise<void> {
  const streams = Array.from({ length: count }, () => begin(session));
  const ends = Promise.all(streams.map(closed));
  await new Promise((resolve) => session.ping(resolve));
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
  await ends;
}

test('a connection that begins calls and takes them back, again and again, is closed', async () => {
  const session = await stranger();
  let gone = false;
  session.on('goaway', () => {
    gone = true;
  });
  // Faster than the rate that is let pass on any machine, and fewer than Node lets pass by itself.
  for (let round = 0; !gone && !session.destroyed && round < 3; round++) await takeBack(session, 250);
  expect(gone).toBe(true);
  // As many as anyone takes back are nobody's harm.
  const honest = await stranger();
  await takeBack(honest, 50);
  const stream = begin(honest);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([honest.destroyed, stream.closed]).toEqual([false, false]);
});

test('a call has as many fields as calls have', async () => {
  const session = await stranger();
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, 'v']));
  const over = begin(session, fields(60));
  await closed(over);
  expect(over.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const within = begin(session, fields(30));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(within.closed).toBe(false);
});

test.each([
  ['/grpc.health.v1.Health/Watch', 'x-a'],
  ['/grpc.health.v1.Health/Watch', 'set-cookie'],
  ['/weft.v1.AgentService/Join', 'x-a'],
  ['/no.Such/Method', 'x-a'],
])(
  'a call of %s with many of %s has no more bytes of headers than calls have, whatever its connection has acknowledged',
  async (path, field) => {
    // A connection that hears no settings sends what it likes: 100 bytes that refer to one field of 4,000 bytes 20 times.
    const socket = connectTls({ ...addressOf(bench), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    sockets.push(socket);
    await once(socket, 'secureConnect');
    const pairs = [
      ':method',
      'POST',
      ':scheme',
      'https',
      ':path',
      path,
      ':authority',
      'x',
      'content-type',
      'application/grpc',
    ];
    const [big, again] = [indexed(field, 'v'.repeat(4_000)), Buffer.alloc(20, 0x80 | 62)];
    const fields = Buffer.concat([
      ...Array.from({ length: 5 }, (_, at) => plain(pairs[2 * at], pairs[2 * at + 1])),
      big,
      again,
    ]);
    socket.write(
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(1, 4, 1, fields)]),
    );
    const heard = new Promise<number>((resolve) => {
      let received = Buffer.alloc(0);
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        // RST_STREAM of stream 1.
        const reset = received.indexOf(Buffer.of(0, 0, 4, 3, 0, 0, 0, 0, 1));
        if (reset >= 0) resolve(received.readUInt32BE(reset + 9));
      });
    });
    expect(await heard).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  },
);

function addressOf({ address }: AdminBench) {
  return {
    host: address.slice(0, address.lastIndexOf(':')),
    port: Number(address.slice(address.lastIndexOf(':') + 1)),
  };
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK, RFC 7541 section 6.2: a field in words, and one that is kept in the table too. */
const plain = (name = '', value = ''): Buffer => Buffer.concat([Buffer.of(0), words(name), words(value)]);
const indexed = (name: string, value: string): Buffer => Buffer.concat([Buffer.of(0x40), words(name), words(value)]);

function words(text: string): Buffer {
  if (text.length < 127) return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  const rest = text.length - 127;
  return Buffer.concat([Buffer.of(127, (rest & 127) | 128, rest >> 7), Buffer.from(text)]);
}
