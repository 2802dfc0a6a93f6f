import { MAX_OPENED_PORTS } from '@weft/proto';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { AutoPorts, type PublishedPorts } from './auto-ports.ts';

test('tells of ports that are not published, while they are not: of this host, of all, and of a program outside of a sandbox', () => {
  const board = new ProblemBoard(pino({ level: 'silent' }));
  const watch = new AutoPorts(board);
  const told = (more: Partial<PublishedPorts>) => {
    watch.tell([{ service: 'many', outside: false, opened: 1, everywhere: 1, ...more }]);
    return board.current.map(
      ({ code, subject, message }) => `${code} ${subject} ${/\d+ (?:different )?ports/.exec(message)?.[0] ?? ''}`,
    );
  };
  const most = MAX_OPENED_PORTS;
  expect(told({ opened: most, everywhere: most })).toEqual([]);
  expect(told({ opened: most + 1, everywhere: most })).toEqual([`too-many-ports many ${most + 1} ports`]);
  expect(told({ opened: 200, everywhere: most + 2 })).toEqual([`too-many-ports many ${most + 2} different ports`]);
  expect(told({ outside: true })).toEqual(['ports-not-published many ']);
  watch.tell([]);
  expect(board.current).toEqual([]);
});
