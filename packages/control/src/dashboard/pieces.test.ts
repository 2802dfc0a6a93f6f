import { beforeEach, expect, test } from 'vitest';
import { Pieces, type PieceTexts } from './pieces.ts';

let pieces: Pieces;
let texts: PieceTexts;

beforeEach(() => {
  pieces = new Pieces();
  texts = {
    network: '{"n":1}',
    services: new Map([
      ['a', '1'],
      ['b', '2'],
    ]),
    agents: new Map([['h', '3']]),
    traffic: new Map([['p', '4']]),
  };
  pieces.update(texts);
});

const event = (since?: number): unknown => JSON.parse(pieces.event(since, 7));

test('a snapshot has all there is', () => {
  expect(event()).toEqual({
    atMs: 7,
    snapshot: true,
    network: { n: 1 },
    services: { a: 1, b: 2 },
    agents: { h: 3 },
    traffic: { p: 4 },
  });
});

test('an event has what changed since, and null for what went', () => {
  const before = pieces.version;
  pieces.update({ ...texts, services: new Map([['b', '20']]) });
  expect(event(before)).toEqual({ atMs: 7, snapshot: false, services: { a: null, b: 20 } });
  expect(event(pieces.version)).toEqual({ atMs: 7, snapshot: false });
  const between = pieces.version;
  pieces.update({ ...texts, traffic: new Map([['q', '5']]) });
  expect(event(between)).toEqual({ atMs: 7, snapshot: false, services: { a: 1, b: 2 }, traffic: { p: null, q: 5 } });
});

test('nothing that changed makes no version', () => {
  const { version } = pieces;
  pieces.update({ ...texts, services: new Map(texts.services) });
  expect(pieces.version).toBe(version);
});

test('who knows a version that never was, or is too old to tell what went since, gets a snapshot', () => {
  const old = pieces.version;
  expect(event(old + 1)).toMatchObject({ snapshot: true });
  const many = new Map(Array.from({ length: 1_001 }, (_, index) => [`gone-${index}`, '1'] as const));
  pieces.update({ ...texts, services: many });
  const known = pieces.version;
  pieces.update(texts);
  expect(event(known)).toMatchObject({ snapshot: true });
  const later = pieces.version;
  pieces.update({ ...texts, services: new Map() });
  expect(event(later)).toEqual({ atMs: 7, snapshot: false, services: { a: null, b: null } });
});
