import type { Problem } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { ProblemBoard, ProblemSources } from './problems.ts';

const taken = (subject: string, message = 'taken'): Problem => ({ code: 'port-taken', subject, message });

function setUp() {
  const log: string[] = [];
  const write = (_fields: object, sentence: string) => void log.push(sentence);
  const board = new ProblemBoard({ warn: write, info: write });
  return { board, log, sources: new ProblemSources(board) };
}

describe('problems of several threads', () => {
  it('stand once, while any thread raises them', () => {
    const { board, log, sources } = setUp();
    const main = sources.of(0);
    main.raise(taken('redis'));
    sources.replace(1, [taken('redis'), taken('web')]);
    sources.replace(2, [taken('redis')]);
    expect(board.current).toEqual([taken('redis'), taken('web')]);
    main.clear('port-taken', 'redis');
    sources.replace(1, []);
    expect(board.current).toEqual([taken('redis')]);
    sources.replace(2, []);
    expect(main.current).toEqual([]);
    expect(log).toEqual(['taken', 'taken', 'problem solved', 'problem solved']);
  });

  it('speak the words of one thread, and of the next when that one is rid of it', () => {
    const { board, log, sources } = setUp();
    sources.replace(1, [taken('redis', 'one')]);
    sources.replace(2, [taken('redis', 'two')]);
    sources.replace(2, [taken('redis', 'two, again')]);
    expect(board.current).toEqual([taken('redis', 'one')]);
    sources.replace(1, []);
    expect(board.current).toEqual([taken('redis', 'two, again')]);
    expect(log).toEqual(['one', 'two, again']);
  });

  it('are not cleared by who did not raise them', () => {
    const { board, sources } = setUp();
    sources.replace(1, [taken('redis')]);
    sources.of(0).clear('port-taken', 'redis');
    expect(board.current).toEqual([taken('redis')]);
  });
});
