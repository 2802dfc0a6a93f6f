/** Whom a question that is not for here goes to, and how often. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import dnsPacket from 'dns-packet';
import { describe, expect, it, vi } from 'vitest';
import {
  answers,
  answerTo,
  ask,
  askTcp,
  type Behaviour,
  cleanups,
  SERVFAIL,
  silent,
  startServer,
  startUpstream,
} from './forwarding.fixture.ts';
import { frameMessage } from './framing.ts';
import type { DnsServer } from './types.ts';
import { UpstreamHealth } from './upstream-health.ts';

describe('forwarder', () => {
  it('sends what is not internal to the resolver and gives its answer back', async () => {
    const upstream = await startUpstream(answers('192.0.2.1'));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'Example.COM')).toMatchObject({
      id: 7,
      rcode: 'NOERROR',
      questions: [{ name: 'Example.COM' }],
      answers: [{ data: '192.0.2.1', ttl: 60 }],
    });
    await ask(server, 'redis.internal');
    await ask(server, 'redis');
    await ask(server, '1.0.91.127.in-addr.arpa');
    expect(upstream.seen).toHaveLength(1);
  });

  it('asks others when it is told to, and lets their names of block lists pass', async () => {
    const [before, after] = [await startUpstream(answers('192.0.2.1')), await startUpstream(answers('127.0.0.2'))];
    const server = await startServer({ upstreams: [before.address] });
    expect((await ask(server, 'example.com')).answers).toMatchObject([{ data: '192.0.2.1' }]);
    const [host = '', port] = after.address.split(':');
    const upstreams = [{ host, port: Number(port) }];
    server.answerOutside({ upstreams });
    expect((await ask(server, 'example.com')).answers).toEqual([]);
    server.answerOutside({ upstreams, private: ['example.com'] });
    expect((await ask(server, 'example.com')).answers).toMatchObject([{ data: '127.0.0.2' }]);
    expect([before.seen.length, after.seen.length]).toEqual([1, 2]);
  });

  it('draws a new id and a new port for each question', async () => {
    const upstream = await startUpstream(answers('192.0.2.1'));
    const server = await startServer({ upstreams: [upstream.address] });
    for (let index = 0; index < 8; index++) await ask(server, `n${index}.example`);
    expect(new Set(upstream.seen.map(({ id }) => id)).size).toBeGreaterThan(5);
    expect(new Set(upstream.seen.map(({ port }) => port)).size).toBeGreaterThan(5);
  });

  it('asks the next resolver when one refuses the connection, fails, or is silent', async () => {
    const closed = await startUpstream(silent);
    await cleanups.pop()?.();
    const failing = await startUpstream(answers('', SERVFAIL));
    const good = await startUpstream(answers('192.0.2.1'));
    const first = await startServer({ upstreams: [closed.address, failing.address, good.address] });
    expect(await ask(first, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
    const mute = await startUpstream(silent);
    const second = await startServer({ upstreams: [mute.address, good.address], forwardTimeoutMs: 500 });
    expect(await ask(second, 'b.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
  });

  it('asks the next resolver where the kernel knows no way to one, and lives where it knows none to any', async () => {
    // Not without SO_BROADCAST; as on a host without a route.
    const lost = '255.255.255.255:53';
    const good = await startUpstream(answers('192.0.2.1'));
    const first = await startServer({ upstreams: [lost, good.address] });
    expect(await ask(first, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
    const second = await startServer({ upstreams: [lost] });
    for (const name of ['a.example', 'b.example']) {
      expect(await ask(second, name)).toMatchObject({ rcode: 'SERVFAIL' });
    }
    expect(second.unanswered()).toMatch(/none of 255\.255\.255\.255 answers/);
  });

  it('takes what cannot be sent from here for no silence of the resolver, and says so', async () => {
    // Refused by the kernel at once, as where there is no route.
    const lost = '255.255.255.255:53';
    const health = vi.spyOn(UpstreamHealth.prototype, 'silent');
    const server = await startServer({ upstreams: [lost] });
    for (const name of ['a.example', 'b.example']) await ask(server, name);
    expect(health).not.toHaveBeenCalled();
    expect(server.unanswered()).toMatch(/none of 255\.255\.255\.255 answers, for they cannot be asked: .*EACCES/);
    health.mockRestore();
  });

  it('asks the next resolver when one says what cannot be read, and names it as that', async () => {
    const torn: Behaviour = (query, reply) => reply(answerTo(query, '192.0.2.1').subarray(0, -2));
    const [bad, good] = [await startUpstream(torn), await startUpstream(answers('192.0.2.2'))];
    const both = await startServer({ upstreams: [bad.address, good.address] });
    expect(await ask(both, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.2' }] });
    const rubbish = await startUpstream((_query, reply) => reply(Buffer.from('rubbish')));
    for (const { address } of [bad, rubbish]) {
      const alone = await startServer({ upstreams: [address], forwardTimeoutMs: 100 });
      for (const name of ['a.example', 'b.example']) {
        expect(await ask(alone, name)).toMatchObject({ rcode: 'SERVFAIL' });
      }
      expect(alone.unanswered()).toMatch(/none of 127\.0\.0\.1 answers what can be read/);
    }
  });

  it('knows that nobody answers after two names in a row, until somebody does', async () => {
    let says: Behaviour = silent;
    const upstream = await startUpstream((...asked) => says(...asked));
    const server = await startServer({ upstreams: [upstream.address], forwardTimeoutMs: 100 });
    for (const _ of [1, 2, 3]) await ask(server, 'lame.example');
    expect(server.unanswered()).toBeUndefined();
    await ask(server, 'a.example');
    expect(server.unanswered()).toMatch(/none of 127\.0\.0\.1 answers/);
    says = answers('', SERVFAIL);
    await ask(server, 'a.example');
    expect(server.unanswered()).toBeUndefined();
    // However many names of one domain have none, where others are answered.
    says = silent;
    await Promise.all(['a.lame.example', 'b.lame.example', 'c.lame.example'].map((name) => ask(server, name)));
    expect(server.unanswered()).toBeUndefined();
    await ask(server, 'a.test');
    expect(server.unanswered()).toMatch(/none of 127\.0\.0\.1 answers/);
    const alone = await startServer({ upstreams: [] });
    await ask(alone, 'a.example');
    await ask(alone, 'b.example');
    expect(alone.unanswered()).toMatch(/no resolver is named/);
  });

  it('answers other names while names of a silent domain are asked for by the hundred, and blames no resolver', async () => {
    const upstream = await startUpstream((query, reply) => {
      if (query.questions?.[0]?.name.endsWith('lame.example') !== true) reply(answerTo(query, '192.0.2.1'));
    });
    const server = await startServer({ upstreams: [upstream.address], forwardTimeoutMs: 20_000 });
    const flood = dgram.createSocket('udp4');
    cleanups.push(() => flood.close());
    let lame = 0;
    const floods = async (count: number, questionOf: () => string) => {
      const asked = server.counters.queries + count;
      for (let sent = 0; sent < count; sent += 1) {
        const questions = [{ name: questionOf(), type: 'A' as const }];
        const packet = dnsPacket.encode({ type: 'query', id: sent, flags: 0x0100, questions });
        flood.send(packet, server.address.port, '127.0.0.1');
        // What one turn sends may be more than the socket holds.
        if (sent % 50 === 49) await expect.poll(() => server.counters.queries).toBe(asked - count + sent + 1);
      }
    };
    await floods(400, () => {
      lame += 1;
      return `n${lame}.lame.example`;
    });
    expect(server.counters.overloaded).toBeGreaterThan(0);
    for (const name of ['a.test', 'b.test', 'c.test']) {
      expect((await ask(server, name)).answers).toMatchObject([{ data: '192.0.2.1' }]);
    }
    expect(server.unanswered()).toBeUndefined();
    expect(server.crowded()).toMatch(/^more than \d+ questions.*, most for names of lame\.example$/);
    // Nor one name, however many ask for it.
    await floods(2_100, () => 'one.lame.example');
    expect((await ask(server, 'd.test')).answers).toMatchObject([{ data: '192.0.2.1' }]);
  });

  it('says SERVFAIL when nobody answers in time, and when there is nobody', async () => {
    const mute = await startUpstream(silent);
    const server = await startServer({ upstreams: [mute.address], forwardTimeoutMs: 200 });
    expect(await ask(server, 'a.example')).toMatchObject({
      id: 7,
      rcode: 'SERVFAIL',
      questions: [{ name: 'a.example' }],
    });
    expect(mute.seen).toHaveLength(3);
    const alone = await startServer({ upstreams: [] });
    expect(await ask(alone, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(alone.counters.forwardFailed).toBe(1);
  });

  it('asks in the way it was asked, and next in the other: a path may let one of them through alone', async () => {
    const ways = async (
      udp: Behaviour,
      tcp: Behaviour,
      asking: (server: DnsServer, name: string) => Promise<unknown>,
    ) => {
      const upstream = await startUpstream(udp, tcp);
      const server = await startServer({ upstreams: [upstream.address], forwardTimeoutMs: 1_000 });
      expect(await asking(server, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
      return upstream.seen.map(({ transport }) => transport);
    };
    const good = answers('192.0.2.1');
    expect(await ways(silent, good, ask)).toEqual(['udp', 'tcp']);
    expect(await ways(silent, good, askTcp)).toEqual(['tcp']);
    expect(await ways(good, silent, askTcp)).toEqual(['tcp', 'udp']);
  });

  it('asks once for all who ask the same', async () => {
    let release: (() => void) | undefined;
    const upstream = await startUpstream((query, reply) => {
      release = () => reply(answerTo(query, '192.0.2.1'));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    const asked = [1, 2, 3].map((id) => ask(server, 'a.example', id));
    await expect.poll(() => server.counters.queries).toBe(3);
    await expect.poll(() => release).toBeDefined();
    release?.();
    expect((await Promise.all(asked)).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(upstream.seen).toHaveLength(1);
  });

  it('ends a loop through another resolver', async () => {
    let asked = 0;
    const address: { port?: number } = {};
    const loop = await startUpstream((_query, _reply, bytes) => {
      asked++;
      const socket = dgram.createSocket('udp4');
      cleanups.push(() => socket.close());
      socket.send(bytes, address.port ?? 0, '127.0.0.1');
    });
    const server = await startServer({ upstreams: [loop.address], forwardTimeoutMs: 300 });
    address.port = server.address.port;
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(asked).toBe(3);
  });

  it('sends deeper names under internal on that nothing here ends in, and no other', async () => {
    const upstream = await startUpstream(answers('203.0.113.9'));
    const server = await startServer({ upstreams: [upstream.address] });
    for (const name of ['metadata.google.internal', 'ip-10-0-0-1.ec2.internal', 'host.docker.internal']) {
      expect((await ask(server, name)).answers).toMatchObject([{ data: '203.0.113.9' }]);
    }
    const ours = [
      'nobody.internal',
      'internal',
      'a.b.redis.internal',
      '9.redis.internal',
      'x.redis-discovery.internal',
    ];
    for (const name of [
      ...ours,
      'x.host.internal',
      '_1._tcp.nobody.internal',
      'a._b.google.internal',
      'x.mailer.internal',
    ]) {
      expect([name, (await ask(server, name)).answers]).toEqual([name, []]);
    }
    expect(upstream.seen).toHaveLength(3);
  });

  it('asks one resolver that is silent once, and the others from then on, until it answers again', async () => {
    let mute: boolean = true;
    const first = await startUpstream((query, reply) => {
      if (!mute) reply(answerTo(query, '203.0.113.1'));
    });
    const second = await startUpstream(answers('203.0.113.2'));
    const server = await startServer({ upstreams: [first.address, second.address], forwardTimeoutMs: 1_000 });
    for (const name of ['a.example', 'b.example', 'c.example']) {
      expect((await ask(server, name)).answers).toMatchObject([{ data: '203.0.113.2' }]);
    }
    expect(first.seen).toHaveLength(1);
    mute = false;
  });

  it('asks once for all who ask the same, whatever their case and options', async () => {
    const waiting: (() => void)[] = [];
    const upstream = await startUpstream(
      (query, reply) => void waiting.push(() => reply(answerTo(query, '203.0.113.3'))),
    );
    const server = await startServer({ upstreams: [upstream.address] });
    const cookie = (byte: number) => ({
      type: 'OPT' as const,
      name: '.',
      udpPayloadSize: 1_232 + byte,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [{ code: 10, data: Buffer.alloc(8, byte) }],
    });
    const asked = ['same.example', 'SAME.example', 'same.EXAMPLE'].map(async (name, index) => {
      const socket = dgram.createSocket('udp4');
      const questions = [{ name, type: 'A' as const }];
      const packet = { type: 'query' as const, id: index, flags: 0x0100, questions, additionals: [cookie(index)] };
      socket.send(dnsPacket.encode(packet as never), server.address.port, '127.0.0.1');
      const [bytes] = (await once(socket, 'message')) as [Buffer];
      socket.close();
      const { id, questions: repeated } = dnsPacket.decode(bytes);
      expect([id, repeated?.[0]?.name]).toEqual([index, name]);
    });
    await expect.poll(() => waiting.length).toBe(1);
    await expect.poll(() => server.counters.queries).toBe(3);
    for (const answer of waiting) answer();
    await Promise.all(asked);
    expect(upstream.seen).toHaveLength(1);
  });

  it('answers everyone who waits when it ends', async () => {
    const mute = await startUpstream(silent);
    const server = await startServer({ upstreams: [mute.address] });
    const socket = net.connect(server.address.port, '127.0.0.1');
    socket.write(
      frameMessage(dnsPacket.encode({ type: 'query', id: 7, questions: [{ name: 'a.example', type: 'A' }] })),
    );
    await expect.poll(() => mute.seen.length).toBe(1);
    socket.resume();
    const ended = once(socket, 'close');
    await server.close();
    await ended;
    expect(server.counters.forwardFailed).toBe(1);
  });
});
