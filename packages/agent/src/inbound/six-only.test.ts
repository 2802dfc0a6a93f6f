import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../../../examples/demo/ports.ts';
import { ListenerTable, readListenerTable } from './listener-table.ts';
import { SixOnly } from './six-only.ts';

async function onSix(protocol: 'tcp' | 'udp', ipv6Only: boolean): Promise<number> {
  const socket =
    protocol === 'tcp'
      ? net.createServer().listen({ host: '::', port: 0, ipv6Only })
      : dgram.createSocket({ type: 'udp6', ipv6Only }).bind({ address: '::', port: 0 });
  onTestFinished(() => void socket.close());
  await once(socket, 'listening');
  return (socket.address() as net.AddressInfo).port;
}

it.runIf(process.platform === 'linux').each(['tcp', 'udp'] as const)(
  'tells a program on every IPv6 address from one on every address: %s',
  async (protocol) => {
    const [six, both] = [await onSix(protocol, true), await onSix(protocol, false)];
    const sixOnly = new SixOnly();
    // The second time by what is known.
    for (let look = 0; look < 2; look++) {
      const table = await readListenerTable();
      const marked = table && (await sixOnly.marked(table));
      expect([marked?.hasWildcard(protocol, six), marked?.hasWildcard(protocol, both)]).toEqual([false, true]);
      const answered = ['127.0.0.1', '::1', '2001:db8::1'].map((host) => marked?.answers(protocol, host, six));
      expect(answered).toEqual([false, true, true]);
      expect(marked?.answers(protocol, '127.0.0.1', both)).toBe(true);
    }
  },
);

it.runIf(process.platform === 'linux')('knows a program that takes IPv6 alone until it goes', async () => {
  const port = await freePort();
  const server = net.createServer().listen({ host: '::', port, ipv6Only: true });
  await once(server, 'listening');
  const sixOnly = new SixOnly();
  const holds = async () => {
    const table = await readListenerTable();
    return table && (await sixOnly.marked(table)).hasWildcard('tcp', port);
  };
  expect(await holds()).toBe(false);
  server.close();
  await once(server, 'close');
  expect(await holds()).toBe(false);
  const next = net.createServer().listen({ host: '::', port });
  onTestFinished(() => void next.close());
  await once(next, 'listening');
  expect(await holds()).toBe(true);
});

it.runIf(process.platform === 'linux')(
  'tries the ports of services however many others hold theirs on every IPv6 address, and of those not many',
  async () => {
    const many = await Promise.all(Array.from({ length: 100 }, () => onSix('udp', true)));
    const mine = await onSix('udp', true);
    const table = new ListenerTable([...many, mine].map((port) => ({ protocol: 'udp' as const, address: '::', port })));
    const marked = await new SixOnly().marked(table, new Set([`${mine}/udp`]));
    expect(marked.hasWildcard('udp', mine)).toBe(false);
    expect(many.filter((port) => !marked.hasWildcard('udp', port))).toHaveLength(64);
  },
);
