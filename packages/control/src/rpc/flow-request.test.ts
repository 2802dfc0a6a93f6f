import type { FieldProblem } from '@weft/proto';
import type { pb } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { RequestError } from '../admin/errors.ts';
import { readFlowHistory, readFlowWatch } from './flow-request.ts';

const EMPTY: pb.FlowFilter = {
  source: '',
  service: '',
  host: '',
  verdict: 0,
  rule: '',
  outcome: 0,
  port: 0,
  text: '',
  fromMs: 0,
  toMs: 0,
  id: '',
  zone: '',
};

const watch = (request: Partial<pb.WatchFlowsRequest>, filter?: Partial<pb.FlowFilter>) =>
  readFlowWatch({
    network: '',
    follow: false,
    limit: 0,
    before: 0,
    ...request,
    filter: filter === undefined ? null : { ...EMPTY, ...filter },
  });

const history = (filter: Partial<pb.FlowFilter>, buckets = 0) =>
  readFlowHistory({ network: '', filter: { ...EMPTY, ...filter }, buckets });

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
  expect(watch({})).toEqual({ query: { filter: {}, limit: 100 }, follow: false });
  expect(watch({}, {})).toEqual({ query: { filter: {}, limit: 100 }, follow: false });
  expect(history({})).toEqual({ buckets: 120 });
});

test('everything that is set reaches the window', () => {
  const words = { source: 'web', service: 'redis', host: 'a', rule: 'r', port: 80, text: 'T', id: 'f'.repeat(16) };
  expect(watch({ limit: 7, before: 9 }, { ...words, verdict: 1, outcome: 3, fromMs: 1, toMs: 2 })).toEqual({
    query: { filter: { ...words, verdict: 'allow', outcome: 'denied' }, fromMs: 1, toMs: 2, before: 9, limit: 7 },
    follow: false,
  });
  expect(history({ source: 'web', service: 'redis', verdict: 2, fromMs: 1, toMs: 2 }, 5)).toEqual({
    source: 'web',
    service: 'redis',
    verdict: 'deny',
    fromMs: 1,
    toMs: 2,
    buckets: 5,
  });
});

test.each<[string, () => unknown, string[]]>([
  ['too many', () => watch({ limit: 10_001 }), ['limit']],
  ['a cursor out of range', () => watch({ before: 2 ** 53 }), ['before']],
  ['following to an end', () => watch({ follow: true, before: 5 }, { toMs: 9 }), ['before', 'filter.to_ms']],
  ['long words', () => watch({}, { source: 'x'.repeat(256), text: 'x'.repeat(201) }), ['filter.source', 'filter.text']],
  ['unknown words', () => watch({}, { verdict: 9, outcome: 99 }), ['filter.verdict', 'filter.outcome']],
  ['a port that is none', () => watch({}, { port: 65_536 }), ['filter.port']],
  ['an identifier that is none', () => watch({}, { id: 'FF' }), ['filter.id']],
  ['times that hold nothing', () => watch({}, { fromMs: 5, toMs: 5 }), ['filter.to_ms']],
  ['too many columns', () => history({}, 1_001), ['buckets']],
  [
    'what is not counted',
    () => history({ host: 'a', rule: 'r', zone: 'z', outcome: 1, port: 1, text: 't', id: '0'.repeat(16) }),
    ['filter.host', 'filter.id', 'filter.port', 'filter.rule', 'filter.outcome', 'filter.zone', 'filter.text'],
  ],
])('refuses %s, and names the field', (_what, read, fields) => {
  expect(fieldsOf(read)).toEqual(fields);
});
