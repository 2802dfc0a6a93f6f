import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fit, shorten } from './fit.ts';
import { drop, short, writeTable } from './table.ts';

const lengthOf = (widths: readonly number[]) => {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, width) => sum + width, 2 * (shown.length - 1));
};

describe('fit', () => {
  const [name, long] = [{ title: 'NAME' }, { title: 'LONG', short: true as const }];
  const [first, second] = [
    { title: 'FIRST', drop: 1 },
    { title: 'SECOND', drop: 2 },
  ];

  test('leaves a table that has room as it is', () => {
    expect(fit([name, long, first], [10, 40, 5], 59)).toEqual([10, 40, 5]);
  });

  test('shortens before it leaves out, the widest first', () => {
    expect(fit([name, long, long, first], [10, 40, 20, 5], 50)).toEqual([10, 14, 15, 5]);
  });

  test('leaves out in order, and only as many as need be', () => {
    expect(fit([name, second, long, first], [10, 10, 40, 10], 40)).toEqual([10, 10, 16, 0]);
    expect(fit([name, second, long, first], [10, 10, 40, 10], 30)).toEqual([10, 0, 18, 0]);
  });

  test('what is neither long nor in the way is never touched, and the rest has room if it can', () => {
    const column = fc.record({
      short: fc.boolean(),
      drop: fc.option(fc.nat(9)),
      natural: fc.integer({ min: 4, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(column, { minLength: 1, maxLength: 12 }), fc.integer({ min: 20, max: 200 }), (all, room) => {
        const columns = all.map((one) => ({
          title: 'NAME',
          ...(one.short && { short: true as const }),
          ...(one.drop !== null && { drop: one.drop }),
        }));
        const natural = all.map((one) => one.natural);
        const widths = fit(columns, natural, room);
        const needed = all.map((one) => (one.drop !== null ? 0 : one.short ? Math.min(one.natural, 10) : one.natural));
        for (const [index, width] of widths.entries()) {
          expect(width).toBeLessThanOrEqual(natural[index] ?? 0);
          expect(width === 0 || width >= (all[index]?.short ? Math.min(10, natural[index] ?? 0) : width)).toBe(true);
          if (all[index]?.drop === null) expect(width).toBeGreaterThan(0);
        }
        if (lengthOf(needed) <= room) expect(lengthOf(widths)).toBeLessThanOrEqual(room);
      }),
    );
  });
});

test.each([
  ['redis', 5, 'redis'],
  ['recommendations', 10, 'recom…ions'],
  ['🐘🐘🐘🐘', 3, '🐘…🐘'],
  ['ab', 1, '…'],
])('%s in %d characters is %s', (text, width, shown) => {
  expect(shorten(text, width)).toBe(shown);
});

describe('a table', () => {
  const written = (columns: number | undefined, wide?: true) => {
    const said = { out: '', err: '' };
    const terminal = {
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      ...{ outColors: false, errColors: false, env: {}, columns, now: Date.now },
      bytes: () => expect.unreachable(),
    };
    const rows = [['tk_1', 'a-long-name-of-a-host-in-a-cloud', 'yes']];
    writeTable(terminal, ['ID', short('HOST'), drop('REUSABLE', 1)], rows, wide === undefined ? {} : { wide });
    return said;
  };

  test('says what it leaves out, and shows all where there is no end to a line, and to who asks for it', () => {
    const all = 'ID    HOST                              REUSABLE\ntk_1  a-long-name-of-a-host-in-a-cloud  yes\n';
    expect(written(20)).toEqual({
      out: 'ID    HOST\ntk_1  a-long-…-cloud\n',
      err: 'left out for want of room: REUSABLE; --wide shows all\n',
    });
    expect(written(40).out).toBe('ID    HOST                      REUSABLE\ntk_1  a-long-name-…-in-a-cloud  yes\n');
    for (const shown of [written(undefined), written(20, true)]) expect(shown).toEqual({ out: all, err: '' });
  });
});
