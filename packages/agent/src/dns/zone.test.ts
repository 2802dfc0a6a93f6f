import { CONTROL_RANGE, parseRange } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { sampleNetmap, silentNetmap } from '../netmap/sample.fixture.ts';
import type { Netmap } from '../words/netmap.ts';
import { Rcode, Type } from './message.ts';
import { Zone } from './zone.ts';

const types = { ...Type, TXT: 16, MX: 15, HTTPS: 65, DS: 43 };

function ask(name: string, type: keyof typeof types, zone = new Zone(sampleNetmap(), CONTROL_RANGE)) {
  const labels = name === '.' ? [] : name.split('.');
  return zone.answer({ labels, type: types[type] });
}

/** What a table row can say: the answers' data, or NODATA, or the rcode. */
function outcome(name: string, type: keyof typeof types, zone?: Zone): unknown {
  const answer = ask(name, type, zone);
  if (answer === undefined) return 'forward';
  const { rcode, answers, authorities } = answer;
  const soa = authorities.some((record) => record.type === 'SOA');
  if (rcode === Rcode.NXDOMAIN) return soa ? 'NXDOMAIN+SOA' : 'NXDOMAIN';
  if (rcode !== Rcode.NOERROR) return rcode === Rcode.SERVFAIL ? 'SERVFAIL' : rcode;
  if (answers.length === 0) return soa ? 'NODATA+SOA' : 'NODATA';
  return answers.map((record) => (record.type === 'SOA' ? 'SOA' : record.data));
}

/** The sample's addresses, 127.x.y.z, at 100.x.y.z. */
function movedNetmap(): Netmap {
  const moved = JSON.parse(
    JSON.stringify(sampleNetmap(), (_, value) => (value instanceof Map ? { map: [...value] } : value)).replaceAll(
      '"127.',
      '"100.',
    ),
    (_, value) => (Array.isArray(value?.map) ? new Map(value.map) : value),
  );
  return sampleNetmap({ self: moved.self, services: moved.services, peers: moved.peers });
}

describe('zone', () => {
  it.each([
    ['redis.internal', 'A', ['127.91.0.1']],
    ['redis.internal', 'ANY', ['127.91.0.1']],
    ['redis.internal', 'AAAA', 'NODATA+SOA'],
    ['redis.internal', 'TXT', 'NODATA+SOA'],
    ['redis.internal', 'MX', 'NODATA+SOA'],
    ['redis.internal', 'HTTPS', 'NODATA+SOA'],
    ['redis.internal', 'DS', 'NODATA+SOA'],
    ['redis.internal', 'SRV', 'NODATA+SOA'],
    ['redis-discovery.internal', 'A', ['127.91.1.0', '127.91.1.1', '127.91.1.3']],
    ['redis-discovery.internal', 'AAAA', 'NODATA+SOA'],
    ['web-discovery.internal', 'A', 'NODATA+SOA'],
    ['none-discovery.internal', 'A', 'NXDOMAIN+SOA'],
    ['0.redis.internal', 'A', ['127.91.1.0']],
    ['2.redis.internal', 'A', ['127.91.1.2']],
    ['4.redis.internal', 'A', 'NXDOMAIN+SOA'],
    ['00.redis.internal', 'A', 'NXDOMAIN+SOA'],
    ['a.0.redis.internal', 'A', 'NXDOMAIN+SOA'],
    ['_tcp.redis.internal', 'A', 'NODATA+SOA'],
    ['_udp.redis.internal', 'SRV', 'NODATA+SOA'],
    ['_udp.web.internal', 'A', 'NXDOMAIN+SOA'],
    ['_sctp.redis.internal', 'A', 'NXDOMAIN+SOA'],
    ['_6379._tcp.redis.internal', 'A', 'NODATA+SOA'],
    ['_6380._tcp.redis.internal', 'SRV', 'NXDOMAIN+SOA'],
    ['_06379._tcp.redis.internal', 'SRV', 'NXDOMAIN+SOA'],
    ['_6379._udp.redis.internal', 'SRV', 'NXDOMAIN+SOA'],
    ['_3000._tcp.web.internal', 'SRV', 'NODATA+SOA'],
    ['_80._tcp.far.internal', 'SRV', 'SERVFAIL'],
    ['far.internal', 'A', 'SERVFAIL'],
    ['far.internal', 'AAAA', 'NODATA+SOA'],
    ['far-discovery.internal', 'A', 'SERVFAIL'],
    ['mailer.internal', 'A', 'NXDOMAIN+SOA'],
    ['mailer.internal', 'ANY', 'NXDOMAIN+SOA'],
    ['0.mailer.internal', 'A', 'NXDOMAIN+SOA'],
    ['mailer-discovery.internal', 'A', 'NXDOMAIN+SOA'],
    ['_1._tcp.mailer.internal', 'SRV', 'NXDOMAIN+SOA'],
    ['nobody.internal', 'A', 'NXDOMAIN+SOA'],
    ['host.internal', 'A', 'NODATA+SOA'],
    ['build-3.host.internal', 'A', ['127.91.9.3']],
    ['here.host.internal', 'A', ['127.91.9.1']],
    ['there.host.internal', 'A', 'NXDOMAIN+SOA'],
    ['a.build-3.host.internal', 'A', 'NXDOMAIN+SOA'],
    ['internal', 'SOA', ['SOA']],
    ['internal', 'NS', ['internal']],
    ['internal', 'A', 'NODATA+SOA'],
    ['1.0.91.127.in-addr.arpa', 'PTR', ['redis.internal']],
    ['3.0.91.127.in-addr.arpa', 'PTR', ['mailer.internal']],
    ['3.9.91.127.in-addr.arpa', 'PTR', ['build-3.host.internal']],
    ['1.9.91.127.in-addr.arpa', 'PTR', ['here.host.internal']],
    ['3.1.91.127.in-addr.arpa', 'PTR', ['3.redis.internal']],
    ['9.1.91.127.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['1.0.0.127.in-addr.arpa', 'PTR', ['localhost']],
    ['1.0.91.127.in-addr.arpa', 'A', 'NODATA+SOA'],
    ['0.91.127.in-addr.arpa', 'PTR', 'NODATA+SOA'],
    ['91.127.in-addr.arpa', 'PTR', 'NODATA+SOA'],
    ['92.127.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['127.in-addr.arpa', 'NS', ['127.in-addr.arpa']],
    ['01.0.91.127.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['x.1.0.91.127.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['redis', 'A', 'NXDOMAIN'],
    ['mailer', 'A', 'NXDOMAIN'],
    ['com', 'NS', 'forward'],
    ['.', 'NS', 'forward'],
    ['redis.internal.example', 'A', 'forward'],
    ['notinternal', 'A', 'forward'],
    ['1.0.0.10.in-addr.arpa', 'PTR', 'forward'],
  ] as const)('%s %s', (name, type, expected) => {
    expect(outcome(name, type)).toEqual(expected);
  });

  it.each([
    ['1.0.91.100.in-addr.arpa', 'PTR', ['redis.internal']],
    ['3.0.91.100.in-addr.arpa', 'PTR', ['mailer.internal']],
    ['3.9.91.100.in-addr.arpa', 'PTR', ['build-3.host.internal']],
    ['1.0.91.100.in-addr.arpa', 'A', 'NODATA+SOA'],
    ['7.0.91.100.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['x.1.0.91.100.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
    ['0.91.100.in-addr.arpa', 'PTR', 'NODATA+SOA'],
    ['91.100.in-addr.arpa', 'NS', ['91.100.in-addr.arpa']],
    ['95.100.in-addr.arpa', 'SOA', ['SOA']],
    ['96.100.in-addr.arpa', 'SOA', 'forward'],
    ['79.100.in-addr.arpa', 'SOA', 'forward'],
    ['100.in-addr.arpa', 'SOA', 'forward'],
    ['1.0.96.100.in-addr.arpa', 'PTR', 'forward'],
    ['x.91.100.in-addr.arpa', 'PTR', 'forward'],
    ['in-addr.arpa', 'SOA', 'forward'],
    ['1.0.0.127.in-addr.arpa', 'PTR', ['localhost']],
    ['1.0.91.127.in-addr.arpa', 'PTR', 'NXDOMAIN+SOA'],
  ] as const)('of a range outside loopback: %s %s', (name, type, expected) => {
    expect(outcome(name, type, new Zone(movedNetmap(), { base: 0x64500000, size: 1 << 20 }))).toEqual(expected);
  });

  it('answers for no address beside a range that is no whole octets', () => {
    const zone = new Zone(sampleNetmap(), parseRange('192.168.5.64/26') ?? CONTROL_RANGE);
    expect(outcome('70.5.168.192.in-addr.arpa', 'PTR', zone)).toBe('NXDOMAIN+SOA');
    expect(outcome('63.5.168.192.in-addr.arpa', 'PTR', zone)).toBe('forward');
    expect(outcome('128.5.168.192.in-addr.arpa', 'PTR', zone)).toBe('forward');
    expect(outcome('5.168.192.in-addr.arpa', 'SOA', zone)).toBe('forward');
  });

  it('points SRV at named instances that listen, with their addresses beside', () => {
    const answer = ask('_6379._tcp.redis.internal', 'SRV');
    expect(answer?.answers.map((record) => record.data)).toEqual([
      { priority: 0, weight: 0, port: 6379, target: '0.redis.internal' },
      { priority: 0, weight: 0, port: 6379, target: '3.redis.internal' },
    ]);
    expect(answer?.additionals.map(({ name, data }) => [name, data])).toEqual([
      ['0.redis.internal', '127.91.1.0'],
      ['3.redis.internal', '127.91.1.3'],
    ]);
    expect(ask('_105._udp.redis.internal', 'SRV')?.answers).toHaveLength(3);
  });

  it('puts another instance first each time', () => {
    const zone = new Zone(sampleNetmap(), CONTROL_RANGE);
    const firsts = [0, 1, 2, 3].map(() => ask('redis-discovery.internal', 'A', zone)?.answers[0]?.data);
    expect(firsts).toEqual(['127.91.1.0', '127.91.1.1', '127.91.1.3', '127.91.1.0']);
  });

  it('keeps every time to live and the negative one at 5 s', () => {
    const [soa] = ask('nobody.internal', 'A')?.authorities ?? [];
    expect(soa).toMatchObject({ name: 'internal', ttl: 5, data: { minimum: 5, serial: 7 } });
    expect(ask('redis.internal', 'A')?.answers[0]?.ttl).toBe(5);
  });

  it('does not know, rather than denies, before control has spoken', () => {
    const zone = new Zone(silentNetmap(), CONTROL_RANGE);
    expect(outcome('redis.internal', 'A', zone)).toBe('SERVFAIL');
    expect(outcome('internal', 'SOA', zone)).toBe('SERVFAIL');
    expect(outcome('1.0.91.127.in-addr.arpa', 'PTR', zone)).toBe('SERVFAIL');
    expect(outcome('example.com', 'A', zone)).toBe('forward');
  });
});
