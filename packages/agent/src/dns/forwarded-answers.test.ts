/** What comes of an answer from outside: believed or not, whole or cut, with which addresses. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import dnsPacket from 'dns-packet';
import { describe, expect, it } from 'vitest';
import {
  answers,
  answerTo,
  ask,
  askTcp,
  type Behaviour,
  cleanups,
  silent,
  startServer,
  startUpstream,
} from './forwarding.fixture.ts';

describe('an answer from outside', () => {
  it('believes no answer with another id or question', async () => {
    const upstream = await startUpstream((query, reply) => {
      reply(answerTo({ ...query, id: query.id ^ 1 }, '192.0.2.66'));
      reply(answerTo({ ...query, questions: [{ name: 'evil.example', type: 'A' }] }, '192.0.2.66'));
      reply(dnsPacket.encode({ type: 'query', id: query.id, questions: query.questions }));
      reply(Buffer.from('rubbish'));
      reply(answerTo({ ...query, questions: [{ name: 'GOOD.example', type: 'A' }] }, '192.0.2.1'));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'good.example')).toMatchObject({
      questions: [{ name: 'good.example' }],
      answers: [{ data: '192.0.2.1' }],
    });
  });

  it('passes on what resolvers say when none is of use, under the asker’s question', async () => {
    const headerOnly: Behaviour = (_query, reply, bytes) => {
      const header = Buffer.from(bytes.subarray(0, 12));
      header.writeUInt16BE(0x8005, 2);
      header.fill(0, 4);
      reply(header);
    };
    const upstream = await startUpstream(headerOnly);
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'REFUSED', questions: [{ name: 'a.example' }] });
  });

  it('fetches over TCP what is truncated over UDP, for who asked over TCP', async () => {
    const cut = answers('192.0.2.1', { flags: 0x0380, answers: [] });
    const upstream = await startUpstream(cut, answers('192.0.2.2'));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ flag_tc: true, answers: [] });
    expect(await askTcp(server, 'a.example')).toMatchObject({ flag_tc: false, answers: [{ data: '192.0.2.2' }] });
    expect(upstream.seen.map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
  });

  it('answers who asked over TCP by resolvers that take UDP alone, though there are three', async () => {
    const upstreams = await Promise.all([1, 2, 3].map(() => startUpstream(answers('192.0.2.1'), silent)));
    const addresses = upstreams.map(({ address }) => address);
    const server = await startServer({ upstreams: addresses, forwardTimeoutMs: 600 });
    expect(await askTcp(server, 'a.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
    const { seen } = upstreams[0] ?? { seen: [] };
    expect(seen.map(({ transport }) => transport)).toEqual(['tcp', 'udp']);
  });

  it('asks a resolver that cuts its answers and takes no TCP each way once', async () => {
    const cut = answers('192.0.2.1', { flags: 0x0380, answers: [] });
    const upstream = await startUpstream(cut, silent);
    const server = await startServer({ upstreams: [upstream.address], forwardTimeoutMs: 600 });
    expect(await askTcp(server, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
    expect(upstream.seen.length).toBeLessThanOrEqual(6);
  });

  it('cuts an answer that is larger than the asker takes', async () => {
    const many = Array.from({ length: 60 }, () => ({
      name: 'a.example',
      type: 'A' as const,
      ttl: 1,
      data: '192.0.2.1',
    }));
    const upstream = await startUpstream(answers('', { answers: many }));
    const server = await startServer({ upstreams: [upstream.address] });
    expect(await ask(server, 'a.example')).toMatchObject({ flag_tc: true, answers: [] });
    expect((await askTcp(server, 'a.example')).answers).toHaveLength(60);
  });

  it('takes addresses of this host out of answers, wherever they stand, and counts them', async () => {
    const records = (...data: string[]) =>
      data.map(
        (each) => ({ name: 'evil.example', type: each.includes(':') ? 'AAAA' : 'A', ttl: 60, data: each }) as const,
      );
    const upstream = await startUpstream((query, reply) => {
      const own = ['127.80.0.2', '127.0.0.1', '0.0.0.0', '::1', '::', '::ffff:127.80.0.2'];
      const cname = { name: 'evil.example', type: 'CNAME', data: 'x.example', ttl: 60 } as const;
      reply(
        answerTo(query, '', {
          answers: [cname, ...records(...own, '203.0.113.7', '2001:db8::7')],
          additionals: records('127.80.0.3'),
        }),
      );
    });
    const server = await startServer({ upstreams: [upstream.address] });
    const answer = await ask(server, 'evil.example');
    expect(answer.answers?.map((record) => ('data' in record ? record.data : ''))).toEqual([
      'x.example',
      '203.0.113.7',
      '2001:db8::7',
    ]);
    expect(answer.additionals).toEqual([]);
    expect(server.counters.addressesDropped).toBe(7);
  });

  it('takes aliases into the network out of answers over either transport', async () => {
    const alias = (name = '') => ({ name, type: 'CNAME', ttl: 60, data: 'redis.internal' }) as const;
    const upstream = await startUpstream((query, reply) =>
      reply(answerTo(query, '', { answers: [alias(query.questions?.[0]?.name)] })),
    );
    const server = await startServer({ upstreams: [upstream.address] });
    for (const asking of [ask, askTcp]) expect((await asking(server, 'evil.example')).answers).toEqual([]);
    expect(server.counters.addressesDropped).toBe(2);
  });

  it('takes the addresses that service bindings hint at for what they are', async () => {
    const hint = (key: number, address: Buffer) => {
      const head = Buffer.alloc(7);
      head.writeUInt16BE(1, 0);
      head.writeUInt16BE(key, 3);
      head.writeUInt16BE(address.length, 5);
      return Buffer.concat([head, address]);
    };
    const data = [hint(4, Buffer.from([127, 80, 0, 2])), hint(6, Buffer.concat([Buffer.alloc(15), Buffer.of(1)]))];
    const upstream = await startUpstream((query, reply) => {
      const answers = [...data, hint(4, Buffer.from([203, 0, 113, 7]))].map(
        (each) => ({ name: 'evil.example', type: 'UNKNOWN_65', ttl: 60, data: each }) as never,
      );
      reply(answerTo(query, '', { answers }));
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect((await ask(server, 'evil.example')).answers).toHaveLength(1);
    expect(server.counters.addressesDropped).toBe(2);
  });

  it('leaves localhost to itself, and what it cannot read to nobody', async () => {
    const upstream = await startUpstream((query, reply) => {
      const answer = answerTo(query, '127.0.0.1');
      reply(query.questions?.[0]?.name === 'torn.example' ? answer.subarray(0, -2) : answer);
    });
    const server = await startServer({ upstreams: [upstream.address] });
    expect((await ask(server, 'db.localhost')).answers).toMatchObject([{ data: '127.0.0.1' }]);
    expect(await ask(server, 'torn.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });

  it('gives who asks over TCP no truncated answer when the resolver takes no TCP', async () => {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    cleanups.push(() => socket.close());
    socket.on('message', (bytes, from) => {
      const answer = answerTo(dnsPacket.decode(bytes), '203.0.113.9', { flags: 0x0380, answers: [] });
      socket.send(answer, from.port, from.address);
    });
    const server = await startServer({ upstreams: [`127.0.0.1:${socket.address().port}`] });
    expect(await askTcp(server, 'large.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });

  it('takes a truncated answer over TCP for none, and asks the next', async () => {
    const cut = await startUpstream(answers('', { flags: 0x0380, answers: [] }));
    const good = await startUpstream(answers('192.0.2.1'));
    const alone = await startServer({ upstreams: [cut.address] });
    expect(await askTcp(alone, 'large.example')).toMatchObject({ rcode: 'SERVFAIL' });
    const both = await startServer({ upstreams: [cut.address, good.address] });
    expect(await askTcp(both, 'large.example')).toMatchObject({ answers: [{ data: '192.0.2.1' }] });
  });
});
