import dgram from 'node:dgram';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { Responder } from './responder.ts';
import { bindUdp, serveUdp } from './udp.ts';

const sockets: dgram.Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

test('a question from port 0, which only a forger sends, is dropped; the next one is answered', async () => {
  const server = await bindUdp('127.0.0.1', 0, pino({ level: 'silent' }));
  sockets.push(server);
  const asked: string[] = [];
  const echo = {
    respond(packet: Buffer, _transport: 'udp' | 'tcp', reply: (message: Buffer) => void): void {
      asked.push(packet.toString());
      reply(packet);
    },
  } as unknown as Responder;
  serveUdp(server, echo);
  // A raw socket is needed to send such a packet; this is what it arrives as.
  server.emit('message', Buffer.from('forged'), { address: '127.0.0.1', family: 'IPv4', port: 0, size: 6 });
  const client = dgram.createSocket('udp4');
  sockets.push(client);
  const answer = new Promise<string>((resolve) => client.once('message', (message) => resolve(message.toString())));
  client.send('honest', server.address().port, '127.0.0.1');
  expect(await answer).toBe('honest');
  expect(asked).toEqual(['honest']);
});
