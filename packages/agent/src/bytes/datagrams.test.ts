import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { datagramOutput } from './datagrams.ts';
import { datagramHandleOutput } from './inside/datagram-output.ts';

const LIMIT = 1 << 20;
const sockets: dgram.Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function bound(type: 'udp4' | 'udp6', address: string): Promise<dgram.Socket> {
  const socket = dgram.createSocket(type);
  sockets.push(socket);
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

async function received(socket: dgram.Socket, count: number): Promise<string[]> {
  const all: string[] = [];
  const done = Promise.withResolvers<void>();
  socket.on('message', (payload) => {
    all.push(payload.toString());
    if (all.length === count) done.resolve();
  });
  await done.promise;
  return all;
}

for (const [type, address] of [
  ['udp4', '127.0.0.1'],
  ['udp6', '::1'],
] as const) {
  describe(`datagrams over ${type}`, () => {
    it('go to the address that is named, straight on the handle', async () => {
      const near = await bound(type, address);
      const far = await bound(type, address);
      const output = datagramHandleOutput(near, LIMIT, (cause) => expect(cause).toBeUndefined());
      if (output === undefined) throw new Error('the handle is not known');
      const arrived = received(far, 3);
      for (const text of ['one', 'two', 'three']) output.send(Buffer.from(text), far.address().port, address);
      expect(await arrived).toEqual(['one', 'two', 'three']);
    });

    it('go to where the socket is connected', async () => {
      const near = await bound(type, address);
      const far = await bound(type, address);
      near.connect(far.address().port, address);
      await once(near, 'connect');
      const output = datagramHandleOutput(near, LIMIT, (cause) => expect(cause).toBeUndefined());
      if (output === undefined) throw new Error('the handle is not known');
      const arrived = received(far, 2);
      output.sendConnected(Buffer.from('one'));
      output.sendConnected(Buffer.from('two'));
      expect(await arrived).toEqual(['one', 'two']);
    });

    it('leave the socket as it was for those who use it by its public calls', async () => {
      const near = await bound(type, address);
      const far = await bound(type, address);
      datagramHandleOutput(near, LIMIT, () => undefined);
      const arrived = received(far, 1);
      near.send('by hand', far.address().port, address);
      expect(await arrived).toEqual(['by hand']);
    });

    it('are told of when the system refuses them', async () => {
      const near = await bound(type, address);
      const causes: (Error | undefined)[] = [];
      const output = datagramOutput(near, LIMIT, (cause) => causes.push(cause));
      output.send(Buffer.alloc(70_000), 9, address);
      expect(causes).toMatchObject([{ code: 'EMSGSIZE', syscall: 'send' }]);
    });

    it('are dropped, and no failure, once the socket is closed', async () => {
      const near = await bound(type, address);
      let dropped = 0;
      const output = datagramOutput(near, LIMIT, () => {
        dropped += 1;
      });
      near.close();
      sockets.splice(sockets.indexOf(near), 1);
      output.send(Buffer.from('late'), 9, address);
      expect(dropped).toBe(1);
    });
  });
}

describe('a socket whose inside is not known', () => {
  it('is sent to by its public calls', async () => {
    const near = await bound('udp4', '127.0.0.1');
    const far = await bound('udp4', '127.0.0.1');
    const plain = {
      send: near.send.bind(near),
      getSendQueueSize: () => near.getSendQueueSize(),
    } as unknown as dgram.Socket;
    expect(datagramHandleOutput(plain, LIMIT, () => undefined)).toBeUndefined();
    const arrived = received(far, 1);
    datagramOutput(plain, LIMIT, () => undefined).send(Buffer.from('one'), far.address().port, '127.0.0.1');
    expect(await arrived).toEqual(['one']);
  });
});
