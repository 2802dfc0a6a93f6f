import { getHeapCodeStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import { fullCollector } from './collector.ts';

/** Functions of a few hundred bytes of bytecode each, compiled. */
function compiled(count: number): readonly ((number: number) => number)[] {
  const each = (at: number) =>
    `(number) => { let sum = ${at}; for (let by = 0; by < 3; by++) { sum += number * by; if (sum > 1e6) sum -= number; } return sum; }`;
  const functions = new Function(`return [${Array.from({ length: count }, (_, at) => each(at)).join(',')}]`)();
  for (const run of functions) run(1);
  return functions;
}

const bytecode = () => getHeapCodeStatistics().bytecode_and_metadata_size;

test('what was compiled goes where that is asked for, and runs again', () => {
  const collect = fullCollector();
  if (collect === undefined) throw new Error('nothing collects here');
  collect(true);
  const before = bytecode();
  const functions = compiled(5_000);
  const held = bytecode() - before;
  expect(held).toBeGreaterThan(400_000);
  collect(false);
  expect(bytecode() - before).toBeGreaterThan(held * 0.7);
  collect(true);
  expect(bytecode() - before).toBeLessThan(held * 0.3);
  expect(functions.map((run) => run(2)).slice(0, 3)).toEqual([6, 7, 8]);
});
