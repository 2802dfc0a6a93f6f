import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import dnsPacket, { type DecodedPacket } from 'dns-packet';
import { expect, it } from 'vitest';
import { answers, startServer, startUpstream } from './forwarding.fixture.ts';

/** Asks at another place of the same server. */
async function askAt(outside: boolean) {
  const upstream = await startUpstream(answers('192.0.2.1'));
  const server = await startServer({ upstreams: [upstream.address] });
  const udp = dgram.createSocket('udp4');
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  const tcp = net.createServer();
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  server.serveAlso({ udp, tcp, outside });
  const ask = async (name: string, type: 'A' | 'AAAA' | 'HTTPS'): Promise<DecodedPacket> => {
    const socket = dgram.createSocket('udp4');
    const questions = [{ name, type: type as 'A' }];
    socket.send(dnsPacket.encode({ type: 'query', id: 7, flags: 0x0100, questions }), udp.address().port, '127.0.0.1');
    const [bytes] = (await once(socket, 'message')) as [Buffer];
    socket.close();
    return dnsPacket.decode(bytes);
  };
  return { ask, upstream };
}

it('of a name outside no address of IPv6 is told, and nobody is asked for it', async () => {
  const { ask, upstream } = await askAt(true);
  expect(await ask('example.com', 'AAAA')).toMatchObject({ rcode: 'NOERROR', answers: [] });
  expect(upstream.seen).toHaveLength(0);
  expect(await ask('example.com', 'A')).toMatchObject({ rcode: 'NOERROR', answers: [{ data: '192.0.2.1' }] });
  expect(upstream.seen).toHaveLength(1);
});

it('where nothing leads outside, no name is there, and nobody is asked', async () => {
  const { ask, upstream } = await askAt(false);
  for (const type of ['A', 'AAAA'] as const)
    expect(await ask('example.com', type)).toMatchObject({ rcode: 'NXDOMAIN', answers: [] });
  expect((await ask('redis.internal', 'A')).answers).toHaveLength(1);
  expect(upstream.seen).toHaveLength(0);
});
