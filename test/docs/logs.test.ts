import { EXPOSED_PROBLEM, LISTENER_PROBLEMS, PLACE_PROBLEM, REACHED_PROBLEM, TARGET_PROBLEM } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { type LogCall, logCalls } from './log-calls.ts';
import { codes, read, type Source, sources, tableRows } from './sources.ts';

/** The one place that hands on an event that its callers name. */
const HANDS_ON = 'packages/agent/src/tunnel/limited-log.ts';

const scanned = sources();
const calls = scanned.flatMap((source) => logCalls(source));
const document = read('docs/LOGS.md');

const where = ({ source, line }: LogCall) => `${source.path}:${line}`;

const sorted = (names: Iterable<string | undefined>) =>
  [...names].sort((a = '', b = '') => (a < b ? -1 : Number(a > b)));

/** By heading: an event of one program is told there, one of both in one place. */
function eventsOf(heading: string): ReadonlySet<string> {
  const packages = (event: string) => new Set(calls.filter((call) => call.event === event).map(packageOf));
  const headingOf = (event: string) => {
    const told = packages(event);
    if (told.has('proto') || told.size > 1) return 'Both';
    return told.has('agent') ? 'Agent' : 'Control';
  };
  const events = calls.flatMap(({ event }) => event ?? []);
  return new Set(events.filter((event) => headingOf(event) === heading));
}

function packageOf({ source }: LogCall): Source['package'] {
  return source.package;
}

test('the scan finds log calls', () => {
  expect(calls.length).toBeGreaterThan(80);
  expect(new Set(calls.map(packageOf))).toEqual(new Set(['agent', 'control', 'proto']));
});

test('every log call names its event', () => {
  const nameless = calls.filter(({ event, source }) => event === undefined && source.path !== HANDS_ON);
  expect(nameless.map(where)).toEqual([]);
});

test('an event is a few small words', () => {
  for (const { event } of calls) expect(event ?? 'none').toMatch(/^[a-z]+(-[a-z]+)*$/);
});

test('errors are logged as err: pino writes {} for one under another name', () => {
  expect(calls.filter(({ fields }) => fields.includes('error')).map(where)).toEqual([]);
});

describe.each(['Agent', 'Control', 'Both'])('LOGS.md, %s', (heading) => {
  const rows = tableRows(document, `## ${heading}`);
  const named = rows.map(([event]) => codes(event)[0] ?? '');

  test('has each event once, and no other', () => {
    expect(sorted(named)).toEqual(sorted(eventsOf(heading)));
  });

  test('is in order', () => {
    expect(named).toEqual(sorted(named));
  });

  test.each(rows)('%s: %s', (event, level, fields, when) => {
    const [name] = codes(event);
    const mine = calls.filter((call) => call.event === name);
    const levels = new Set(mine.map((call) => call.level));
    if (!levels.has('varies')) expect(new Set(level?.split(', '))).toEqual(levels);
    const told = new Set(mine.flatMap((call) => call.fields));
    // What is spread has names that the sources do not show here.
    const spread = [...told].some((field) => field.startsWith('...'));
    if (spread) expect(codes(fields).length).toBeGreaterThan(0);
    else expect(new Set(codes(fields))).toEqual(told);
    expect(when).not.toBe('');
  });
});

test('LOGS.md has each problem once, and no other', () => {
  const written = scanned.flatMap(({ text }) =>
    Array.from(text.matchAll(/code: '([a-z-]+)',\s*subject/g), ([, code]) => code),
  );
  const raised = [...LISTENER_PROBLEMS, TARGET_PROBLEM, PLACE_PROBLEM, EXPOSED_PROBLEM, REACHED_PROBLEM, ...written];
  const told = tableRows(document, '## Problems').map(([code]) => codes(code)[0]);
  expect(written).toContain('port-shared');
  expect(told).toEqual(sorted(new Set(raised)));
});
