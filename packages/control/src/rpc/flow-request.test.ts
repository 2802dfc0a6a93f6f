import type { FieldProblem } from '@weft/proto';
import { callerToWire, type pb, timestampToWire } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { RequestError } from '../admin/errors.ts';
import { readFlowCount, readFlowPage, readFlowWatch } from './flow-request.ts';
import { tokenOf } from './page.ts';

const EMPTY: pb.FlowFilter = {
  service: '',
  host: '',
  verdict: 0,
  rule: '',
  outcome: 0,
  port: 0,
  text: '',
  id: '',
  zone: '',
};

const page = (request: Partial<pb.ListFlowsRequest>, filter?: Partial<pb.FlowFilter>) =>
  readFlowPage('prod', {
    network: '',
    pageSize: 0,
    pageToken: '',
    ...request,
    filter: filter === undefined ? null : { ...EMPTY, ...filter },
  });

const watch = (past: number, filter: Partial<pb.FlowFilter> = {}, resumeToken = '') =>
  readFlowWatch('prod', { network: '', past, resumeToken, filter: { ...EMPTY, ...filter } });

const token = (...of: readonly (string | number)[]): string => tokenOf({ of: [], form: [] }, of);

const web = callerToWire('web') as pb.Caller;
const [fromTime, toTime] = [timestampToWire(1), timestampToWire(2)];

const count = (filter: Partial<pb.FlowFilter>, buckets = 0) =>
  readFlowCount({ network: '', filter: { ...EMPTY, ...filter }, buckets });

function fieldsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof RequestError) return error.fields.map(({ field }: FieldProblem) => field);
    throw error;
  }
  return [];
}

test('what is left out is not asked for', () => {
  expect(page({})).toEqual({ filter: {}, limit: 100 });
  expect(page({}, {})).toEqual({ filter: {}, limit: 100 });
  expect(watch(0)).toEqual({ filter: {}, past: 0 });
  expect(count({})).toEqual({ buckets: 120 });
});

test('everything that is set reaches the window', () => {
  const words = { service: 'redis', host: 'a', rule: 'r', port: 80, text: 'T', id: 'f'.repeat(16) };
  const filter = { ...words, source: 'web', verdict: 'allow', outcome: 'denied' };
  const asked = { ...words, caller: web, verdict: 1, outcome: 3, fromTime, toTime };
  const bounds = { fromMs: 1, toMs: 2, before: 9, limit: 7 };
  expect(page({ pageSize: 7, pageToken: token('flows', 'prod', -9) }, asked)).toEqual({ filter, ...bounds });
  expect(watch(7, { ...asked, toTime: null })).toEqual({ filter, fromMs: 1, past: 7 });
  expect(watch(0, {}, token('watch-flows', 'prod', 0))).toEqual({ filter: {}, past: 0, resume: 0 });
  expect(count({ caller: web, service: 'redis', verdict: 2, fromTime, toTime }, 5)).toEqual({
    source: 'web',
    service: 'redis',
    verdict: 'deny',
    fromMs: 1,
    toMs: 2,
    buckets: 5,
  });
});

test.each<[string, () => unknown, string[]]>([
  ['too many', () => page({ pageSize: 1_001 }), ['page_size']],
  ['too many of the past', () => watch(10_001), ['past']],
  ['a page that none can be', () => page({ pageToken: token('flows', 'prod', -(2 ** 53)) }), ['page_token']],
  ['a page of another network', () => page({ pageToken: token('flows', 'dev', -9) }), ['page_token']],
  ['a watch of another network', () => watch(0, {}, token('watch-flows', 'dev', 9)), ['resume_token']],
  ['a place that none can be', () => watch(0, {}, token('watch-flows', 'prod', -1)), ['resume_token']],
  ['a past of a watch that goes on', () => watch(1, {}, token('watch-flows', 'prod', 1)), ['past']],
  ['words for a page', () => page({ pageToken: 'next' }), ['page_token']],
  ['watching to an end', () => watch(1, { toTime }), ['filter.to_time']],
  [
    'long words',
    () => page({}, { service: 'x'.repeat(256), text: 'x'.repeat(201) }),
    ['filter.service', 'filter.text'],
  ],
  ['a caller that none can be', () => page({}, { caller: { ...web, service: 'No' } }), ['filter.caller.service']],
  ['a time that none can be', () => page({}, { fromTime: { seconds: -1, nanos: 0 } }), ['filter.from_time']],
  ['unknown words', () => page({}, { verdict: 9, outcome: 99 }), ['filter.verdict', 'filter.outcome']],
  ['a port that is none', () => page({}, { port: 65_536 }), ['filter.port']],
  ['an identifier that is none', () => page({}, { id: 'FF' }), ['filter.id']],
  ['times that hold nothing', () => page({}, { fromTime, toTime: fromTime }), ['filter.to_time']],
  ['too many columns', () => count({}, 1_001), ['buckets']],
  [
    'what is not counted',
    () => count({ host: 'a', rule: 'r', zone: 'z', outcome: 1, port: 1, text: 't', id: '0'.repeat(16) }),
    ['filter.host', 'filter.id', 'filter.port', 'filter.rule', 'filter.outcome', 'filter.zone', 'filter.text'],
  ],
])('refuses %s, and names the field', (_what, read, fields) => {
  expect(fieldsOf(read)).toEqual(fields);
});
