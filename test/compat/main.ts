/**
 * `npm run compat -- COMMIT`: this checkout and an older one in one mesh, by their own programs. Every order of upgrade and back, with
 * flows that go on meanwhile. COMMIT may be the folder of a checkout that is built already.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { checkout } from '../harness/host.ts';
import { check } from '../harness/process.ts';
import { type Version, World } from './world.ts';

interface Order {
  readonly name: string;
  readonly from: Version;
  readonly steps: readonly (readonly ['control' | 'data' | 'front', Version])[];
}

/** Where a newer control has left what the older one refuses, the step back to it fails: docs/UPGRADING.md says what to do then. */
const ORDERS: readonly Order[] = [
  {
    name: 'control first, then agents, then agents back and forth',
    from: 'old',
    steps: [
      ['control', 'new'],
      ['front', 'new'],
      ['data', 'new'],
      ['front', 'old'],
      ['data', 'old'],
      ['control', 'old'],
    ],
  },
  {
    name: 'agents first, back, and again; then control',
    from: 'old',
    steps: [
      ['data', 'new'],
      ['front', 'new'],
      ['data', 'old'],
      ['data', 'new'],
      ['control', 'new'],
    ],
  },
];

const [commit] = process.argv.slice(2);
if (commit === undefined) {
  process.stderr.write('expected a commit, or the folder of a built checkout: npm run compat -- HEAD~1\n');
  process.exit(2);
}

const made = existsSync(commit) ? undefined : mkdtempSync(join(tmpdir(), 'weft-compat-'));
try {
  if (made !== undefined) {
    await check(['git', '-C', checkout, 'worktree', 'add', '--detach', '--force', made, commit], { timeoutMs: 60_000 });
    await check(['npm', 'run', 'setup'], { cwd: made, timeoutMs: 600_000 });
  }
  await run({ old: made ?? resolve(commit), new: checkout });
} finally {
  if (made !== undefined) {
    rmSync(made, { recursive: true, force: true });
    await check(['git', '-C', checkout, 'worktree', 'prune']);
  }
}

async function run(folders: Readonly<Record<Version, string>>): Promise<void> {
  for (const order of ORDERS) {
    say(`\n${order.name}`);
    await using world = await World.start(folders, order.from);
    try {
      await world.check(`all ${order.from}`);
      for (const [part, version] of order.steps) {
        await world.change(part, version);
        await world.check(`${part} is ${version}`);
      }
    } catch (error) {
      say(world.said());
      throw error;
    }
  }
  say('\nall of it held');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
