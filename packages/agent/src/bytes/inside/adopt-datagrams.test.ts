import dgram from 'node:dgram';
import { type EventEmitter, errorMonitor, once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { datagramOutput } from '../datagrams.ts';
import { adoptDatagrams } from './adopt-datagrams.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { trustInside } from './known.ts';

const open: dgram.Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
  trustInside(true);
});

async function bound(): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  open.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** What works a socket, as one that another process hands over; its maker reads no more of it. */
function handleOf(socket: dgram.Socket): object {
  const handle = datagramHandleOf(socket);
  if (handle === undefined) throw new Error('Node shows no handle');
  (handle as unknown as { recvStop(): void }).recvStop();
  return handle;
}

async function connected(to: dgram.Socket): Promise<object> {
  const socket = await bound();
  socket.connect(to.address().port, '127.0.0.1');
  await once(socket, 'connect');
  // The adopted one closes it.
  open.splice(open.indexOf(socket), 1);
  return handleOf(socket);
}

it('a socket that is handed over connected sends to where it is connected, and hears from there', async () => {
  const far = await bound();
  const near = adoptDatagrams(await connected(far));
  if (near === undefined) throw new Error('it was not adopted');
  open.push(near);
  expect(near.remoteAddress()).toMatchObject({ port: far.address().port });
  near.send('by the public way');
  const [said, from] = (await once(far, 'message')) as [Buffer, dgram.RemoteInfo];
  expect([String(said), from.port]).toEqual(['by the public way', near.address().port]);
  datagramOutput(near, 1 << 16, () => undefined).sendConnected(Buffer.from('by its handle'));
  expect(String(((await once(far, 'message')) as [Buffer])[0])).toBe('by its handle');
  far.send('back', near.address().port, '127.0.0.1');
  expect(String(((await once(near, 'message')) as [Buffer])[0])).toBe('back');
});

it('who has a copy and sends nowhere by it makes it fail, and nobody has to listen for that', async () => {
  const far = await bound();
  const near = adoptDatagrams(await connected(far));
  if (near === undefined) throw new Error('it was not adopted');
  open.splice(open.indexOf(far), 1);
  far.close();
  await once(far, 'close');
  const failed = new Promise((resolve) => (near as EventEmitter).on(errorMonitor, resolve));
  open.push(near);
  near.send('to nobody');
  expect(await failed).toMatchObject({ code: 'ECONNREFUSED' });
});

it('one that is not connected is none', async () => {
  const socket = await bound();
  open.splice(open.indexOf(socket), 1);
  expect(adoptDatagrams(handleOf(socket))).toBeUndefined();
});

it('nothing is adopted where Node is not as it is known', async () => {
  const handle = await connected(await bound());
  trustInside(false);
  expect(adoptDatagrams(handle)).toBeUndefined();
});
