import { pino } from 'pino';
import { afterEach, expect, it, vi } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { OpenFiles } from './open-files.ts';

afterEach(() => {
  vi.useRealTimers();
});

it('spares the last files for what runs, half of them for tunnels', () => {
  const files = new OpenFiles(1_024, new ProblemBoard(pino({ level: 'silent' })));
  expect([894, 895, 896].map((descriptor) => files.spares(descriptor))).toEqual([true, true, false]);
  expect([895, 959, 960].map((descriptor) => files.sparesTunnel(descriptor))).toEqual([true, true, false]);
  expect(files.listeners(1)).toBe(448);
  expect(files.listeners(4)).toBe(112);
});

it('bounds nothing where the limit is not known', () => {
  const board = new ProblemBoard(pino({ level: 'silent' }));
  expect(new OpenFiles(Number.POSITIVE_INFINITY, board).spares(1_000_000)).toBe(true);
  expect(new OpenFiles(Number.POSITIVE_INFINITY, board).spares(undefined)).toBe(true);
});

it('looks which number comes next where that of the file is not known', () => {
  const board = new ProblemBoard(pino({ level: 'silent' }));
  expect(new OpenFiles(1_000_000, board).spares(undefined)).toBe(true);
  expect(board.current).toEqual([]);
  // Less than any process has open.
  expect(new OpenFiles(25, board).spares(undefined)).toBe(false);
  expect(board.current).toMatchObject([{ code: 'too-many-files' }]);
});

it('is a problem from the first refusal until a while after the last', () => {
  vi.useFakeTimers();
  const board = new ProblemBoard(pino({ level: 'silent' }));
  const files = new OpenFiles(64, board);
  files.spares(60);
  expect(board.current).toMatchObject([{ code: 'too-many-files', subject: 'agent' }]);
  vi.advanceTimersByTime(9_000);
  files.ranOut();
  vi.advanceTimersByTime(9_000);
  expect(board.current).toHaveLength(1);
  vi.advanceTimersByTime(1_000);
  expect(board.current).toEqual([]);
});
