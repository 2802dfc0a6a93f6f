/**
 * How large a host has to be: the cores that its agent takes for a load that people count in, read off what each work cost. The paced
 * works are such loads; the others are run at full speed, where many messages come at once and each costs less.
 */
import { figure, NONE, table } from './markdown.ts';
import type { WorkFigures } from './result.ts';

/** What people count, and how much of the work's amount that is in a second. */
const LOADS: Readonly<Record<string, readonly [string, number]>> = {
  stream: ['1 Gbit/s of bulk to the server', 1e9 / 8],
  'stream-back': ['1 Gbit/s of bulk to the caller', 1e9 / 8],
  paced: ['1,000 requests a second, answers of a few bytes, 50 kept connections', 1_000],
  'paced-1k': ['1,000 requests a second, answers of 1 KiB, the same', 1_000],
  'paced-5k': ['5,000 requests a second, answers of a few bytes, the same', 5_000],
  'redis-one': ['1,000 requests a second, one at a time', 1_000],
  redis: ['1,000 requests a second of all that 50 connections can ask', 1_000],
  'redis-1k': ['the same, answers of 1 KiB', 1_000],
  'redis-16k': ['the same, answers of 16 KiB', 1_000],
  pgbench: ['1,000 transactions a second of all that 8 connections can make', 1_000],
  amqp: ['1,000 messages of 1 KiB a second of all that can be, published and consumed', 1_000],
  connect: ['100 new connections a second of all that 50 at once can make, one request each', 100],
  'pgbench-connect': ['100 new connections a second to PostgreSQL, 8 at once, one transaction each', 100],
  gateway: ['1,000 HTTP requests a second of all that its gateway answers', 1_000],
  datagrams: ['10,000 datagrams of 1,200 bytes a second, of those delivered when too many are offered', 10_000],
  dns: ['1,000 names a second of all that it answers', 1_000],
};

/** Of the works that Weft was measured by, in the order that people ask in. */
export function sizingTable(works: readonly WorkFigures[]): readonly string[] {
  const rows = Object.entries(LOADS).flatMap(([name, [load, amount]]) => {
    const work = works.find((one) => one.name === name);
    const ends = work?.peers.find(({ peer }) => peer === 'weft')?.endsCpu;
    if (work === undefined || ends === undefined) return [];
    const cores = (seconds: number): string => figure((seconds * amount) / work.perAmount);
    // Names are answered where they are asked.
    return [[load, cores(ends.client), name === 'dns' ? NONE : cores(ends.server), `\`${name}\``]];
  });
  if (rows.length === 0) return [];
  const header = ['what passes', "cores, callers' agent", "cores, servers' agent", 'from'];
  return ['### How to size a host: cores of an agent', '', ...table([header, ...rows]), ''];
}
