import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { CONTROL_RANGE, type FlowRecord } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { OpenFiles } from '../bytes/open-files.ts';
import { netmap } from '../flows/flows.fixture.ts';
import { FlowRegistry } from '../flows/registry.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { Admitter } from '../outbound/forward.ts';
import type { Netmap } from '../words/netmap.ts';
import { Egress } from './egress.ts';
import { EgressShare } from './egress-share.ts';

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0).reverse()) step();
});

const noProblems = { raise: () => undefined, clear: () => undefined } as never;

function setup({ isOwn = (): boolean | undefined => false, bounds = { streams: 8, pairs: 8 }, mayAll = false } = {}) {
  const records: FlowRecord[] = [];
  let follow: (next: Netmap) => void = () => undefined;
  const source = {
    current: netmap(1),
    staleSinceMs: undefined,
    subscribe: (_: string, listener: (next: Netmap, before: Netmap) => void) => {
      follow = (next) => listener(next, source.current);
    },
  };
  const traffic = new FlowTraffic();
  const registry = new FlowRegistry({ netmap: source, sink: { record: (flow) => records.push(flow) }, traffic });
  const admitter = new Admitter({ netmap: source, registry, declared: new Set(['web']) });
  const egress = new Egress({
    admit: (call, outside, full) => {
      const decide = mayAll ? () => ({ allowed: true, reason: '' }) : outside.decide;
      return admitter.outside(call, { claim: { type: 'service', name: 'web' } }, { ...outside, decide }, full);
    },
    rights: { internet: true, opened: [] },
    vips: CONTROL_RANGE,
    files: new OpenFiles(Number.POSITIVE_INFINITY, noProblems),
    interfaces: () => undefined,
    isOwn,
    bounds,
    share: new EgressShare({ usable: 800 }),
    log: pino({ level: 'silent' }),
  });
  cleanup.push(() => egress.close());
  return { egress, records, traffic, swap: (next: Netmap) => follow(next) };
}

/** As the sandbox's: what is connected to is where the connection says that it goes. */
async function listener(host: string): Promise<net.Server> {
  const server = net.createServer();
  server.listen(0, host);
  await once(server, 'listening');
  cleanup.push(() => server.close());
  return server;
}

async function refused({ address, port }: net.AddressInfo): Promise<string | undefined> {
  const socket = net.connect(port, address);
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  return error.code;
}

describe('a connection out of a sandbox', () => {
  it('to this host is reset at once, and recorded with what is wrong', async () => {
    const { egress, records, traffic } = setup();
    const server = await listener('127.0.0.9');
    const at = server.address() as net.AddressInfo;
    await egress.listen(server);
    expect(await refused(at)).toBe('ECONNRESET');
    const { port } = at;
    expect(records).toMatchObject([
      {
        source: 'web',
        sourceHost: 'self',
        service: 'internet',
        instance: '',
        destinationHost: '',
        port,
        protocol: 'tcp',
        verdict: 'deny',
        rule: 'builtin:egress',
        outcome: 'denied',
        detail: `to 127.0.0.9:${port}: 127.0.0.9 is loopback, and so this host itself (RFC 1122), which no sandbox reaches`,
      },
    ]);
    expect(traffic.take(10).pairs).toMatchObject([{ source: 'web', service: 'internet', denied: 1 }]);
    expect(egress.counts).toEqual({ streams: 0, pairs: 0 });
  });

  it.each([
    [true, 'is this host itself, which no sandbox reaches'],
    [undefined, 'could not be asked of the kernel'],
  ])('is refused where the kernel says of its own address %s', async (own, why) => {
    const { egress, records } = setup({ isOwn: () => own });
    const server = await listener('127.0.0.9');
    const at = server.address() as net.AddressInfo;
    await egress.listen(server);
    expect(await refused(at)).toBe('ECONNRESET');
    expect(records[0]?.detail).toContain(why);
  });

  it('beyond the bound of its sandbox is refused, and recorded as such', async () => {
    const { egress, records } = setup({ bounds: { streams: 0, pairs: 8 }, mayAll: true });
    const server = await listener('127.0.0.9');
    const at = server.address() as net.AddressInfo;
    await egress.listen(server);
    expect(await refused(at)).toBe('ECONNRESET');
    expect(records).toMatchObject([
      { outcome: 'overloaded', verdict: 'allow', detail: expect.stringContaining('already has 0 connections') },
    ]);
  });

  it('is taken no more once the sandbox is gone', async () => {
    const { egress } = setup();
    const server = await listener('127.0.0.9');
    const at = server.address() as net.AddressInfo;
    await egress.listen(server);
    egress.close();
    expect(await refused(at)).toBe('ECONNREFUSED');
  });
});

describe('a datagram out of a sandbox', () => {
  it('to this host is dropped, and recorded', async () => {
    const { egress, records } = setup();
    const near = dgram.createSocket('udp4');
    near.bind(0, '127.0.0.9');
    await once(near, 'listening');
    egress.datagrams(near, { host: '127.0.0.9', port: near.address().port });
    await once(near, 'close');
    expect(records).toMatchObject([
      { service: 'internet', protocol: 'udp', verdict: 'deny', rule: 'builtin:egress', outcome: 'denied' },
    ]);
  });
});
