/**
 * The main job on one machine, without root: control, four hosts' agents (one a gateway) of one network, an agent of another,
 * and real programs. Prints what may and what may not, each really tried. `--once` ends after the table, with exit 0 only if
 * every line came out right.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shellLine } from './line.ts';
import { startMesh } from './mesh.ts';
import { Programs } from './programs.ts';
import { type Row, tryRows } from './rows.ts';

const once = process.argv.includes('--once');
const dir = mkdtempSync(join(tmpdir(), 'weft-demo-'));
const say = (line: string): void => console.log(line);

function table(rows: readonly Row[]): string {
  const lines = [
    ['', 'FROM', 'TO', 'EXPECTED', 'WHAT HAPPENED'],
    ...rows.map((row) => [row.right ? 'ok' : 'WRONG', row.from, row.to, row.expected, row.happened.slice(0, 400)]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const programs = new Programs(join(dir, 'demo.log'));
let ending: Promise<never> | undefined;
/** Once: a program that is stopped fails whoever waits for it. */
const end = (code: number): Promise<never> => {
  ending ??= programs.stop().then(() => {
    rmSync(dir, { recursive: true, force: true });
    process.exit(code);
  });
  return ending;
};
process.once('SIGINT', () => void end(0));
process.once('SIGTERM', () => void end(0));
// Nothing stays behind of a demo that fails, least of all its admin token.
const orEnd = async <Value>(step: Promise<Value>): Promise<Value> => {
  try {
    return await step;
  } catch (error) {
    if (ending === undefined)
      console.error(`demo: ${error instanceof Error ? error.message.trimEnd() : String(error)}`);
    return await end(1);
  }
};

const mesh = await orEnd(startMesh(programs, dir, say));
const line = await orEnd(shellLine(mesh));
const rows = await orEnd(tryRows(mesh, line));
const wrong = rows.filter((row) => !row.right).length;
say(`\n${table(rows)}\n`);
say(wrong === 0 ? `All ${rows.length} lines came out right.` : `${wrong} of ${rows.length} lines came out wrong.`);
if (once) await end(wrong === 0 ? 0 : 1);

say(`
The network stays up until Ctrl-C. In any shell of this machine, as the shop does it from its host:

  ${line}

From this folder:

  export WEFT_CONTROL=${mesh.control} WEFT_ADMIN_TOKEN_FILE=${mesh.tokenFile}
  node_modules/.bin/weft status
  node_modules/.bin/weft services --network shop
  node_modules/.bin/weft flows --network shop --denied
  node_modules/.bin/weft explain --network shop web redis:6379
  curl -H 'Host: shop.example.com' http://127.0.0.1:${mesh.gatewayPort}/offers
  dig @127.0.0.1 -p ${mesh.hosts.front.dnsPort} redis.internal

The dashboard is at http://${mesh.dashboard}/: sign in with the text of ${mesh.tokenFile}.
The programs' log is in ${join(dir, 'demo.log')}.`);
