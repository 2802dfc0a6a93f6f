import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { INDEX_AT, PACKET_TYPE } from '../protocol/datagram/format.ts';
import { DatagramPort } from './datagram-port.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('drops a packet from port 0, which could not be answered, before anyone learns that address', async () => {
  const create = vi.spyOn(dgram, 'createSocket');
  let dropped = 0;
  const heard: number[] = [];
  const port = await DatagramPort.bind(
    { host: '127.0.0.1', port: 0 },
    () => Buffer.of(0, 0, 0, 9),
    () => {
      dropped += 1;
    },
  );
  port.register(9, (_packet, from) => heard.push(from.port));
  const packet = Buffer.alloc(100);
  packet[0] = PACKET_TYPE;
  packet.writeUInt32BE(9, INDEX_AT);
  const socket = create.mock.results[0]?.value as dgram.Socket;
  // Only raw sockets send so, but the kernel hands it on like any other.
  for (const from of [0, 5353])
    socket.emit('message', packet, { address: '127.0.0.1', family: 'IPv4', port: from, size: 100 });
  expect(heard).toEqual([5353]);
  expect(dropped).toBe(1);
  port.close();
});

it.each([
  ['::', '127.0.0.1', '::ffff:127.0.0.1'],
  ['::', '::1', '::1'],
  ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
  ['127.0.0.1', '::1', undefined],
])('bound to %s, knows %s as the system tells of packets from there', async (host, address, place) => {
  const port = await DatagramPort.bind({ host, port: 0 }, randomBytes, () => undefined);
  onTestFinished(() => port.close());
  expect(port.placeOf({ address, port: 7410 })?.address).toBe(place);
});
