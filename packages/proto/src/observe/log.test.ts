import { expect, it } from 'vitest';
import { openLog } from './log.ts';

const HOSTILE = 'x\u001b[31m\u007f\u009b31m\u00ad\u202egnp\u2028\u2029\u{e0041}\n';

/** What a terminal would obey, or show nothing of. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

it('shows no terminal what it would obey, wherever in a line it stands, and loses none of it', () => {
  const lines: string[] = [];
  const log = openLog({ base: { name: HOSTILE } }, { write: (line) => lines.push(line) });
  const err = new Error(HOSTILE, { cause: new Error(HOSTILE) });
  const told = { [HOSTILE]: 1, plain: HOSTILE, deep: [{ why: HOSTILE }] };
  log.child({ worker: HOSTILE }).warn({ ...told, err }, HOSTILE);
  const [line = ''] = lines;
  expect(lines).toHaveLength(1);
  expect(line.endsWith('\n')).toBe(true);
  expect(line.slice(0, -1)).not.toMatch(OBEYED);
  expect(JSON.parse(line)).toMatchObject({ ...told, name: HOSTILE, worker: HOSTILE, msg: HOSTILE });
});
