import net from 'node:net';
import { defined } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { Deadline } from './deadline.ts';
import { listener } from './socket.fixture.ts';
import { connectSocket } from './socket.ts';
import { listenConduits } from './socket-listen.ts';

describe('connectSocket', () => {
  it("rejects with the system's error", async () => {
    const { listener: made } = await listener();
    made.close();
    const attempt = connectSocket({ host: '127.0.0.1', port: made.port, deadline: new Deadline(5000) });
    await expect(attempt).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it("rejects with the deadline's reason, before and during", async () => {
    const reason = new Error('no longer wanted');
    const ended = new Deadline(9_000);
    ended.end(reason);
    await expect(connectSocket({ host: '127.0.0.1', port: 1, deadline: ended })).rejects.toBe(reason);
    const deadline = new Deadline(9_000);
    // 192.0.2.0/24 is for documentation: nothing answers there.
    const attempt = connectSocket({ host: '192.0.2.1', port: 9, deadline });
    deadline.end(reason);
    await expect(attempt).rejects.toBe(reason);
  });

  it('says of a failure what Node says', async () => {
    const taken = await listener();
    const at = { host: '127.0.0.1', port: 1 };
    const failing: net.TcpNetConnectOpts[] = [
      at,
      { ...at, localAddress: '127.93.4.5' },
      { ...at, localAddress: '127.93.4.5', localPort: 40_123 },
      { ...at, localAddress: '127.0.0.1', localPort: taken.listener.port },
      { ...at, localPort: taken.listener.port },
      // Addresses for documentation are no host's own.
      { ...at, localAddress: '192.0.2.7' },
      { host: '192.0.2.7', port: 1, localAddress: '127.0.0.1' },
      { host: '::1', port: 1, localAddress: '127.0.0.1' },
      { host: '::1', port: 1 },
      { ...at, localPort: 40_321 },
      { host: '::1', port: 1, localPort: 40_321 },
    ];
    const said = ({ message, ...rest }: Error) => {
      // A port that the system chose is another each time.
      return { ...rest, message: message.replace(/(?<=Local .*:)\d+/, 'N') };
    };
    for (const options of failing) {
      const byNode = new Promise<Error>((failed) => net.connect(options).once('error', failed));
      const { host = '', port, localAddress, localPort } = options;
      const deadline = new Deadline(5000);
      const byUs = connectSocket({ host, port, deadline, ...defined({ localAddress, localPort }) });
      const cause: unknown = await byUs.catch((error: unknown) => error);
      expect(said(cause as Error)).toEqual(said(await byNode));
    }
  });

  it.each([-1, 1.5, 65_536, 2 ** 32 + 80, Number.NaN])(
    'refuses %s, which is no port, and nothing else ends',
    async (port) => {
      const attempt = connectSocket({ host: '127.0.0.1', port, deadline: new Deadline(5000) });
      await expect(attempt).rejects.toMatchObject({ code: 'ERR_SOCKET_BAD_PORT' });
    },
  );

  it('tells the far end as the system spells it', async () => {
    const { listener: made } = await listener();
    const where = { host: '0.0.0.0', port: made.port, deadline: new Deadline(5000) };
    const { conduit, remote } = await connectSocket(where);
    expect(remote).toMatchObject({ address: '127.0.0.1', port: made.port });
    conduit.reset();
  });

  it('comes from the local address asked for', async () => {
    const { listener: made, accepted } = await listener();
    const { conduit } = await connectSocket({
      host: '127.0.0.1',
      port: made.port,
      localAddress: '127.93.4.5',
      deadline: new Deadline(5000),
    });
    const [, remote] = await accepted;
    expect(remote.address).toBe('127.93.4.5');
    conduit.reset();
  });
});

describe('listenConduits', () => {
  it('rejects when the address is taken', async () => {
    const { listener: made } = await listener();
    const again = listenConduits({ host: '127.0.0.1', port: made.port }, () => undefined);
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
