/** What `weft run` is told: in words, what is wrong and what was expected. */
import { describe, expect, test } from 'vitest';
import { UsageError } from './errors.ts';
import { readMovedPorts, readServiceName, undeclaredWords } from './run-options.ts';

/** The error's words; empty where there is none. */
function wordsOf(read: () => unknown): string {
  try {
    read();
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
}

describe('--port', () => {
  test('moves declared ports to those where the program listens', () => {
    expect(readMovedPorts([])).toEqual(new Map());
    expect(readMovedPorts(['3000=8080', '1=65535'])).toEqual(
      new Map([
        [3000, 8080],
        [1, 65_535],
      ]),
    );
  });

  test.each([
    '3000',
    '3000:8080',
    '=8080',
    '3000=',
    '0=8080',
    '3000=0',
    '65536=1',
    '1=65536',
    '3000=8080/udp',
    ' 1=2',
    '-1=2',
    '',
  ])('refuses %j, and says what is expected', (pair) => {
    const words = wordsOf(() => readMovedPorts([pair]));
    expect(words).toContain('--port');
    expect(words).toContain('DECLARED=INSIDE, two ports, such as 3000=8080');
    if (pair !== '') expect(words).toContain(pair);
  });

  test('refuses a port that is given twice, and more than fit a line', () => {
    expect(wordsOf(() => readMovedPorts(['3000=1', '3000=2']))).toBe('--port 3000 is given twice');
    const pairs = Array.from({ length: 65 }, (_, at) => `${at + 1}=1`);
    expect(readMovedPorts(pairs.slice(0, 64)).size).toBe(64);
    expect(wordsOf(() => readMovedPorts(pairs))).toBe('at most 64 ports may be given; found 65');
  });
});

test.each([
  [['3000', '3001/udp', '4000-4009/tcp'], [3000, 3001, 4009], undefined],
  [['3000'], [9999], /^web declares 3000, and not 9999, as --port has it: /],
  [[], [1, 2], /^web declares no port, and not 1, 2, as --port has it: /],
])('of a service that declares %j, ports %j are warned of where it does not', (declared, ports, words) => {
  const said = undeclaredWords('web', declared, new Map(ports.map((port) => [port, 8080])));
  if (words === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(words);
});

test.each(['Web', 'a b', '', '-web', 'x'.repeat(64)])('--service %j names none, and it says why', (name) => {
  expect(readServiceName('web')).toBe('web');
  expect(wordsOf(() => readServiceName(name))).toMatch(
    new RegExp(`^--service ${JSON.stringify(name)} names no service: .+`),
  );
});
