import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setNative } from '../../packages/agent/src/bytes/inside/known.ts';
import { nativeCause, startNative } from '../../packages/agent/src/bytes/native-check.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echoUdp, type Program, serveUdp } from './programs.ts';

const MESH = `
services:
  sizes: { kind: private, ports: [8125/udp] }
  many: { kind: private, ports: [8125/udp] }
  brief: { kind: private, ports: [8125/udp] }
  blocked: { kind: private, ports: [8125/udp] }
  nobody: { kind: private, ports: [8125/udp, 8126/udp] }
`;
/** Twice as long where it goes back and forth. */
const IDLE_MS = 1_000;

let mesh: Mesh;
let near: Agent;
let far: Agent;
const programs: Program[] = [];
const clients: Client[] = [];
/** Why this Node sends and receives one by one; empty where it need not. */
let foundCause = '';
/** Callers as the program saw them, ADDRESS:PORT. */
const callers = new Set<string>();

/** A program of near's host that sends from one port and hears every answer. */
class Client {
  readonly #socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  readonly #heard: Buffer[] = [];
  /** Where answers came from. */
  readonly from = new Set<string>();
  #wake: () => void = () => {};
  readonly #vip: string;

  constructor(vip: string) {
    this.#vip = vip;
    this.#socket.on('error', () => {});
    this.#socket.on('message', (payload, { address, port }) => {
      this.from.add(`${address}:${port}`);
      this.#heard.push(payload);
      this.#wake();
    });
    clients.push(this);
  }

  send(payload: Buffer, port = 8125): void {
    this.#socket.send(payload, port, this.#vip);
  }

  /** The next answer; undefined when none comes in time. */
  async hear(waitMs = 1_000): Promise<Buffer | undefined> {
    if (this.#heard.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, waitMs);
      await promise;
      clearTimeout(timer);
    }
    return this.#heard.shift();
  }

  async ask(payload: Buffer, waitMs?: number): Promise<Buffer | undefined> {
    this.send(payload);
    return await this.hear(waitMs);
  }

  close(): void {
    this.#socket.close();
  }
}

describe.each([
  ['many at once', true],
  ['one by one', false],
] as const)('%s', (_how, many) => {
  beforeAll(async () => {
    // Asked once in a thread, and of agents that start from then on.
    await startNative(true);
    if (many) foundCause = nativeCause();
    if (!many) setNative('one by one is wanted');
    callers.clear();
    mesh = await Mesh.start(MESH);
    const echo = await echoUdp();
    const seeing = await serveUdp((payload, from, socket) => {
      callers.add(`${from.address}:${from.port}`);
      socket.send(payload, from.port, from.address);
    });
    programs.push(echo, seeing);
    const limits = { idleMs: IDLE_MS };
    const target = { '8125/udp': echo.port };
    const services = {
      sizes: target,
      many: { '8125/udp': seeing.port },
      brief: target,
      nobody: { ...target, '8126/udp': 9 },
    };
    far = await mesh.agent('far', { services, limits });
    near = await mesh.agent('near', { limits });
  });
  afterAll(async () => {
    for (const client of clients.splice(0)) client.close();
    await mesh.close();
    await Promise.all(programs.splice(0).map((program) => program.stop()));
  });

  test('datagrams of every size keep their bytes and boundaries both ways', async () => {
    const vip = await near.vip('sizes');
    const client = new Client(vip);
    const cause = many ? foundCause : 'one by one is wanted';
    expect((await near.status()).native).toEqual({ used: cause === '', cause });
    const sizes = [0, 1, 2, 507, 508, 1_200, 1_372, 1_400, 1_472, 1_500, 8_192, 9_000, 65_000, 65_506, 65_507];
    let sent = 0;
    for (const size of sizes) {
      const payload = randomBytes(size);
      expect((await client.ask(payload))?.equals(payload), `${size} bytes`).toBe(true);
      sent += size;
    }
    // Several behind each other come back as several.
    const burst = [3, 0, 700, 5_000, 11].map((size) => randomBytes(size));
    for (const payload of burst) client.send(payload);
    const back = [];
    for (const _ of burst) back.push(await client.hear());
    expect(new Set(back.map((payload) => payload?.toString('hex')))).toEqual(
      new Set(burst.map((payload) => payload.toString('hex'))),
    );
    sent += burst.reduce((sum, { length }) => sum + length, 0);
    expect(client.from).toEqual(new Set([`${vip}:8125`]));
    await near.idle();
    await far.idle();
    expect(await mesh.recorded('sizes', 1)).toMatchObject([
      {
        ...{ outcome: 'closed', detail: expect.stringMatching(/^idle for \d+ s$/), protocol: 'udp' },
        ...{ bytesSent: sent, bytesReceived: sent, destinationHost: 'far' },
      },
    ]);
  });

  test('several clients at once are kept apart, and come from the caller’s address', async () => {
    const vip = await near.vip('many');
    const own = Array.from({ length: 20 }, () => new Client(vip));
    await Promise.all(
      own.map(async (client, index) => {
        for (let round = 0; round < 10; round++) {
          const words = `client ${index} round ${round}`;
          expect((await client.ask(Buffer.from(words)))?.toString()).toBe(words);
        }
      }),
    );
    expect(callers.size).toBe(20);
    expect([...callers].some((caller) => caller.startsWith('127.0.0.1:'))).toBe(false);
    expect(new Set([...callers].map((caller) => caller.split(':')[0])).size).toBe(1);
    await far.idle();
    const records = await mesh.recorded('many', 20);
    expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['closed']));
  });

  test('a silent flow is over, and a word opens another', async () => {
    const client = new Client(await near.vip('brief'));
    expect(await client.ask(Buffer.from('one'))).toBeDefined();
    expect((await near.status()).flows.open).toBe(1);
    expect((await far.status()).flows.open).toBe(1);
    await near.idle();
    await far.idle();
    expect(await client.ask(Buffer.from('two'))).toBeDefined();
    await far.idle();
    const records = await mesh.recorded('brief', 2);
    expect(records.map(({ outcome, bytesSent }) => ({ outcome, bytesSent }))).toEqual(
      Array(2).fill({ outcome: 'closed', bytesSent: 3 }),
    );
  });

  test('where nobody takes datagrams, the record says so', async () => {
    const client = new Client(await near.vip('nobody'));
    client.send(Buffer.from('hello?'), 8126);
    expect(await client.hear(200)).toBeUndefined();
    expect(await mesh.recorded('nobody', 1)).toMatchObject([
      { outcome: 'not-listening', port: 8126, sourceHost: 'near' },
    ]);
  });

  if (many) {
    test('a path that lets UDP through no more: the flow goes on inside the tunnel, and back when it may', async () => {
      const services = { blocked: { '8125/udp': programs[0]?.port ?? 0 } };
      const there = await mesh.agent('there', { services, relay: {} });
      const here = await mesh.agent('here', { relay: {} });
      const client = new Client(await here.vip('blocked'));
      const relays = [here.relay, there.relay];
      const packets = () => relays.reduce((sum, relay) => sum + relay.datagramsForth + relay.datagramsBack, 0);
      const asks = async (): Promise<boolean> => (await client.ask(Buffer.alloc(100, 'x'), 250)) !== undefined;
      // Beside the tunnel: the path has been proven, and datagrams show on it.
      const beside = async () => {
        const before = packets();
        for (let round = 0; round < 10; round++) await asks();
        return packets() - before >= 20;
      };
      await until('datagrams beside the tunnel', beside);
      for (const relay of relays) relay.passDatagrams = false;
      expect(await asks()).toBe(false);
      // A path that carries is given up 5 s after the last answer to a probe.
      await until('an answer through the tunnel', asks, Boolean, 8_000);
      let answered = 0;
      for (let round = 0; round < 20; round++) if (await asks()) answered++;
      expect(answered).toBe(20);
      for (const relay of relays) relay.passDatagrams = true;
      await until('datagrams beside the tunnel again', beside);
      expect((await there.status()).flows.open).toBe(1);
      await mesh.apply(MESH.replace(/blocked.*/, 'other: { kind: worker }'));
      expect(await mesh.recorded('blocked', 1)).toMatchObject([{ outcome: 'cut', rule: 'builtin:no-such-service' }]);
    });
  }
});
