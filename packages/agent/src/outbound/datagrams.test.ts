import { createSocket, type RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AgentService } from '../config/agent-file.ts';
import { ListenerTable } from '../inbound/listener-table.ts';
import type { Tunnels } from '../tunnel/types.ts';
import { exceptTargets, Rig, type RigOptions, rule, service, until } from './rig.fixture.ts';

const PORT = 18_125;
const SERVICES = [service('statsd', 'private', `${PORT}/udp`), service('web', 'web', 13_000)];

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

interface Datagram {
  readonly text: string;
  readonly from: RemoteInfo;
}

class Endpoint {
  readonly socket: Socket;
  readonly heard: Datagram[] = [];
  #closed: boolean = false;

  constructor(socket: Socket, answer?: (payload: Buffer) => Buffer) {
    this.socket = socket;
    socket.on('message', (payload, from) => {
      this.heard.push({ text: payload.toString('latin1'), from });
      if (answer !== undefined) socket.send(answer(payload), from.port, from.address);
    });
    cleanups.push(() => this.close());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
  }

  get port(): number {
    return this.socket.address().port;
  }

  static async open(answer?: (payload: Buffer) => Buffer, address = '127.0.0.1'): Promise<Endpoint> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    socket.bind(0, address);
    await once(socket, 'listening');
    return new Endpoint(socket, answer);
  }
}

async function setup(ports: readonly number[], options: RigOptions = {}): Promise<Rig> {
  const servers = ports.map((port, index) => ({ host: `s${index}`, runs: { statsd: { [`${PORT}/udp`]: port } } }));
  const agents = [{ host: 'a', runs: { web: { '13000/tcp': 1 } } }, ...servers];
  const rig = await Rig.start({ services: SERVICES, agents }, options);
  cleanups.push(() => rig.stop());
  return rig;
}

function send(rig: Rig, client: Endpoint, payload: string | Buffer, from = 'a'): void {
  client.socket.send(payload, PORT, rig.vip(from, 'statsd'));
}

describe('a UDP flow', () => {
  it('keeps boundaries, answers from the address that was asked, and shows the caller’s own address', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    const client = await Endpoint.open();
    // While the flow opens, several wait; an empty datagram is a datagram.
    const texts = ['one', '', 'three', 'x'.repeat(65_507)];
    for (const text of texts) send(rig, client, text);
    await until(() => client.heard.length === texts.length);
    expect(client.heard.map(({ text }) => text)).toEqual(texts);
    expect(client.heard[0]?.from).toMatchObject({ address: rig.vip('a', 'statsd'), port: PORT });
    expect(program.heard[0]?.from.address).toBe(rig.vip('s0', 'web'));
  });

  it('begins for no datagram of another host, which hears nothing', async () => {
    const program = await Endpoint.open((payload) => payload);
    const refused: string[] = [];
    const callers = { refuses: (address: string) => address === '127.0.0.77' && refused.push(address) > 0, refused: 0 };
    const rig = await setup([program.port], { callers });
    const stranger = await Endpoint.open(undefined, '127.0.0.77');
    const client = await Endpoint.open();
    send(rig, stranger, 'let me in');
    await until(() => refused.length === 1);
    send(rig, client, 'one');
    await until(() => client.heard.length === 1);
    expect(program.heard.map(({ text }) => text)).toEqual(['one']);
    expect(stranger.heard).toEqual([]);
    // One, at both ends.
    expect(rig.live).toBe(2);
    expect(rig.records()).toEqual([]);
  });

  it('is one for each client port, goes idle, and is recorded once', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port], { idleMs: 60 });
    const clients = await Promise.all([Endpoint.open(), Endpoint.open()]);
    for (const client of clients) send(rig, client, 'count:1|c');
    await until(() => clients.every(({ heard }) => heard.length === 1));
    expect(new Set(program.heard.map(({ from }) => from.port)).size).toBe(2);
    await until(() => rig.live === 0);
    expect(rig.records()).toHaveLength(2);
    for (const record of rig.records()) {
      expect(record).toMatchObject({
        source: 'web',
        protocol: 'udp',
        outcome: 'closed',
        bytesSent: 9,
        bytesReceived: 9,
      });
    }
  });

  it('that goes back and forth lives twice as long in silence, at both ends, and its record says for how long', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port], { idleMs: 400 });
    const clients = await Promise.all([Endpoint.open(), Endpoint.open()]);
    const begunMs = performance.now();
    for (const [index, client] of clients.entries())
      for (const text of ['join', 'play']) send(rig, client, text, index === 0 ? 'a' : 's0');
    await until(() => clients.every(({ heard }) => heard.length === 2));
    await until(() => rig.live === 0);
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual(800);
    const details = rig.records().map(({ outcome, bytesReceived, detail }) => ({ outcome, bytesReceived, detail }));
    expect(details).toEqual(
      Array(2).fill({ outcome: 'closed', bytesReceived: 8, detail: expect.stringMatching(/^idle for \d+ s$/) }),
    );
  });

  // A port below 1,024 is root's where the host does not say otherwise.
  it.skipIf(process.getuid?.() !== 0)(
    'of a resolver ends seconds after its last answer, at both ends, however much it asked',
    async () => {
      const names = await Endpoint.open((payload) => payload);
      const server = { host: 'n', runs: { names: { '53/udp': names.port } } };
      const agents = [{ host: 'a', runs: { web: { '13000/tcp': 1 } } }, server];
      const services = [service('names', 'private', '53/udp'), service('web', 'web', 13_000)];
      const rig = await Rig.start({ services, agents });
      cleanups.push(() => rig.stop());
      const client = await Endpoint.open();
      for (const question of ['A', 'AAAA']) client.socket.send(question, 53, rig.vip('a', 'names', services));
      await until(() => client.heard.length === 2);
      expect(rig.live).toBe(2);
      await until(() => rig.live === 0, 20_000);
      expect(rig.records()).toMatchObject([{ service: 'names', outcome: 'closed', detail: '', bytesReceived: 5 }]);
    },
  );

  it('stays on its host when the instance does', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port], { idleMs: 60 });
    const client = await Endpoint.open();
    send(rig, client, 'ping', 's0');
    await until(() => client.heard.length === 1);
    expect(program.heard[0]?.from.address).toBe(rig.vip('s0', 'statsd'));
    await until(() => rig.live === 0);
    expect(rig.records()).toMatchObject([{ source: 'statsd', instance: 'statsd/0', outcome: 'closed', bytesSent: 4 }]);
  });

  it('that is denied makes one record however much is sent, and is asked anew after a change', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'statsd')] });
    const client = await Endpoint.open();
    for (let count = 0; count < 20; count++) send(rig, client, 'count:1|c');
    await until(() => rig.agent('a').outbound.datagramsDropped === 20);
    expect(program.heard).toEqual([]);
    expect(rig.records()).toMatchObject([{ outcome: 'denied', rule: 'no-web', protocol: 'udp' }]);
    rig.change({ rules: [] });
    send(rig, client, 'now');
    await until(() => client.heard.length === 1);
  });

  it('that is denied to many client ports at once makes a few records and one for the rest', async () => {
    const rig = await setup([1]);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'statsd')] });
    for (let count = 0; count < 50; count++) send(rig, await Endpoint.open(), 'count:1|c');
    await until(() => rig.agent('a').outbound.datagramsDropped === 50);
    const number = () =>
      rig.records().reduce((sum, { detail }) => sum + Number(/^stands for (\d+) like it: /.exec(detail)?.[1] ?? 1), 0);
    await until(() => number() === 50);
    // On a machine that takes more than a second for them, of two.
    expect(rig.records().length).toBeLessThanOrEqual(18);
  });

  it('is cut live by a change, and its next datagram makes one denied record', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    const client = await Endpoint.open();
    send(rig, client, 'ping');
    await until(() => client.heard.length === 1);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'statsd')] });
    expect(rig.live).toBe(0);
    expect(rig.records()).toMatchObject([{ outcome: 'cut', rule: 'no-web', bytesSent: 4 }]);
    send(rig, client, 'ping');
    send(rig, client, 'ping');
    await until(() => rig.agent('a').outbound.datagramsDropped > 0);
    expect(program.heard).toHaveLength(1);
    expect(rig.agent('a').recorder.recent().length).toBeLessThanOrEqual(1);
  });

  it('is told by its source too where a change that cut it there does not get to its destination', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    const client = await Endpoint.open();
    send(rig, client, 'ping');
    await until(() => client.heard.length === 1);
    rig.change({ rules: [rule('no-web', 'deny', 'web', 'statsd')] }, 'a');
    await until(() => rig.records().length === 2);
    expect(rig.agent('a').recorder.recent()).toMatchObject([{ outcome: 'cut', verdict: 'deny', rule: 'no-web' }]);
  });

  it('to a program that is gone is recorded as not listening', async () => {
    const program = await Endpoint.open();
    const { port } = program;
    const rig = await setup([port]);
    program.close();
    const client = await Endpoint.open();
    send(rig, client, 'ping');
    await until(() => rig.records().length === 1 && rig.live === 0);
    expect(rig.records()).toMatchObject([
      {
        outcome: 'not-listening',
        destinationHost: 's0',
        bytesSent: 4,
        detail: `statsd ${PORT}/udp → 127.0.0.1:${port}: connection refused`,
      },
    ]);
  });

  it.each(['a', 's0'])(
    'ends once a user who is not meant has the place of its program, called from %s',
    async (from) => {
      const program = await Endpoint.open((payload) => payload);
      const { port } = program;
      let uid = 1;
      const readTable = async () => new ListenerTable([{ protocol: 'udp', address: '127.0.0.1', port, uid }]);
      const rig = await setup([port], { readTable });
      const services = rig.agent('s0').inbound.services as Map<string, AgentService>;
      const targets = services.get('statsd')?.targets ?? [];
      services.set('statsd', { name: 'statsd', targets, match: { user: 'daemon' } });
      const client = await Endpoint.open();
      send(rig, client, 'ping', from);
      await until(() => client.heard.length === 1);
      uid = 2;
      await until(() => rig.live === 0);
      const detail = `statsd ${PORT}/udp → 127.0.0.1:${port}: a program of user bin listens there, who is another than match in the agent file names`;
      const ended = () => rig.agent('s0').recorder.recent();
      expect(ended()).toMatchObject([{ outcome: 'not-listening', bytesSent: 4, bytesReceived: 4, detail }]);
    },
  );

  it('that failed is not tried again with each datagram, and is after a second', async () => {
    const rig = await setup([1]);
    rig.change({ unhealthy: ['statsd/0'] });
    const client = await Endpoint.open();
    const started = performance.now();
    send(rig, client, 'one');
    await until(() => rig.records().length === 1);
    const dropped = () => rig.agent('a').outbound.datagramsDropped;
    for (const text of ['two', 'three']) send(rig, client, text);
    await until(() => dropped() === 3);
    // Told only of a machine that was quick enough to ask within the second.
    if (performance.now() - started < 1_000) expect(rig.records()).toHaveLength(1);
    await until(() => {
      if (rig.records().length === 1) send(rig, client, 'again');
      return rig.records().length === 2;
    });
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_000);
    expect(rig.records()).toMatchObject([{ outcome: 'no-instance' }, { outcome: 'no-instance' }]);
  });

  it('of many clients at once lets little wait while they open, all of them together', async () => {
    const rig = await setup([1], { forwardMs: 60_000 });
    rig.unreachable.add('s0');
    const payload = Buffer.alloc(60_000);
    let sent = 0;
    // One at a time, so that the kernel's queue is not what drops them; two of a client, which are within its own share.
    while (rig.agent('a').outbound.datagramsDropped === 0) {
      const client = await Endpoint.open();
      for (let count = 0; count < 2; count++) {
        await new Promise((resolve) => client.socket.send(payload, PORT, rig.vip('a', 'statsd'), resolve));
        await new Promise((resolve) => setImmediate(resolve));
        sent += payload.length;
      }
      expect(sent).toBeLessThan(24 * 2 ** 20);
    }
    expect(sent).toBeGreaterThan(12 * 2 ** 20);
  });

  it('from port 0 is none: no reply could be sent', async () => {
    const bound = vi.spyOn(Socket.prototype, 'bind');
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    const address = rig.vip('a', 'statsd');
    const at = bound.mock.calls.findIndex(([options]) => JSON.stringify(options).includes(address));
    const spec = bound.mock.contexts[at] as Socket;
    bound.mockRestore();
    spec.emit('message', Buffer.from('spoofed'), { address: '127.0.0.1', family: 'IPv4', port: 0, size: 7 });
    expect(rig.agent('a').outbound.datagramsDropped).toBe(1);
    expect(rig.live).toBe(0);
  });

  it('is not opened for more clients than there is room for, which is recorded and a problem', async () => {
    const program = await Endpoint.open();
    const rig = await setup([program.port], { datagramClients: 1 });
    const [first, second] = [await Endpoint.open(), await Endpoint.open()];
    send(rig, first, 'ping');
    await until(() => program.heard.length === 1);
    send(rig, second, 'ping');
    await until(() => rig.agent('a').outbound.datagramsDropped === 1);
    expect(program.heard).toHaveLength(1);
    expect(rig.records()).toMatchObject([{ outcome: 'overloaded', service: 'statsd', protocol: 'udp' }]);
    expect(exceptTargets(rig.agent('a').problems)).toMatchObject([{ code: 'too-many-clients', subject: 'udp' }]);
  });

  it('makes room when it has its answer, the longest idle first', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port], { datagramClients: 2 });
    const clients: Endpoint[] = [];
    for (let count = 0; count < 20; count++) {
      const client = await Endpoint.open();
      clients.push(client);
      send(rig, client, 'question');
      await until(() => client.heard.length === 1);
    }
    expect(rig.agent('a').outbound.datagramsDropped).toBe(0);
    await until(() => rig.records().length === 18);
    expect(new Set(rig.records().map(({ outcome }) => outcome))).toEqual(new Set(['closed']));
    expect(exceptTargets(rig.agent('a').problems)).toEqual([]);
    // The last two are there still, on the sockets that they began with.
    send(rig, clients[18] as Endpoint, 'more');
    await until(() => clients[18]?.heard.length === 2);
    expect(program.heard.at(-1)?.from.port).toBe(program.heard.at(-3)?.from.port);
  });

  it('of one question and its answer is over in seconds', async () => {
    const program = await Endpoint.open((payload) => payload);
    const rig = await setup([program.port]);
    const client = await Endpoint.open();
    send(rig, client, 'question');
    await until(() => client.heard.length === 1);
    expect(rig.live).toBe(2);
    await until(() => rig.live === 0);
    expect(rig.records()).toMatchObject([{ outcome: 'closed', bytesSent: 8, bytesReceived: 8 }]);
  }, 6_000);

  it('goes to another instance within seconds when the host of its own falls silent', async () => {
    const away = { host: '' };
    const programs = await Promise.all([Endpoint.open((payload) => payload), Endpoint.open((payload) => payload)]);
    const rig = await setup(programs.map(({ port }) => port));
    const tunnels = rig.agent('a').tunnels as { openDatagrams: Tunnels['openDatagrams'] };
    const { openDatagrams } = tunnels;
    tunnels.openDatagrams = async (permit, target, deadline) => {
      const opened = await openDatagrams(permit, target, deadline);
      if (!opened.opened) return opened;
      const { conduit } = opened;
      return {
        opened: true,
        conduit: {
          silent: () => away.host === target.agentId,
          attach: (events) => conduit.attach(events),
          send: (payload) => {
            if (away.host !== target.agentId) conduit.send(payload);
          },
          close: () => conduit.close(),
        },
      };
    };
    const client = await Endpoint.open();
    send(rig, client, 'ping');
    await until(() => client.heard.length === 1);
    away.host = programs[0]?.heard.length === 1 ? 's0' : 's1';
    const began = performance.now();
    const sending = setInterval(() => send(rig, client, 'ping'), 50);
    cleanups.push(() => clearInterval(sending));
    await until(() => client.heard.length > 1);
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(rig.records()).toContainEqual(expect.objectContaining({ outcome: 'reset', protocol: 'udp' }));
  }, 10_000);
});
