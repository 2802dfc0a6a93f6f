/** Whether somebody starts the agent again: the systemd of the host, or that of a user, each with units of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { homeOf } from '@weft/proto';
import { type Finding, findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const units = findingsOf('unit');

/** As the package names it. */
const PACKAGED = 'weft.service';

interface Unit {
  readonly name: string;
  /** Of which systemd, as systemctl is told. */
  readonly manager: readonly string[];
}

interface Surroundings {
  /** Where systemd tells that it runs. */
  readonly running?: string;
  /** Of who asks; undefined where the system has none. */
  readonly uid?: number | undefined;
}

/** Nothing where no systemd runs. */
export async function lookAtUnit(
  known: Known,
  { running = '/run/systemd/system', uid = process.getuid?.() }: Surroundings = {},
): Promise<readonly Finding[]> {
  if (!existsSync(running)) return [];
  const { agent, facts } = known;
  if (agent === undefined || facts === undefined) {
    for (const unit of whereItMayBe(known, uid)) {
      const told = await show(unit);
      if (told.LoadState === 'loaded') return [judge(unit, told)];
    }
    return [];
  }
  const { unit: name, userUnit = false, uid: owner } = facts.process;
  if (name === '')
    return [
      units.hint(
        '',
        'the agent runs in no unit of systemd: nobody starts it after a crash or a boot',
        'README, "Install", has one',
      ),
    ];
  // Another user's systemd answers its user alone.
  if (userUnit && owner !== uid) return [units.ok(name, `the agent runs in it, a unit of user ${owner}`)];
  const unit = { name, manager: userUnit ? ['--user'] : [] };
  const told = await show(unit);
  return [told.LoadState === 'loaded' ? judge(unit, told) : units.ok(name, 'the agent runs in it')];
}

/** The unit of an agent that is off, or cannot be asked: the host's own serves no directory in a user's home. */
function whereItMayBe({ directory, unasked }: Known, uid: number | undefined): readonly Unit[] {
  const home = homeOf(process.env);
  const atHome = uid !== 0 && home !== undefined && directory.startsWith(`${home}/`);
  // One that does not answer this user is another's, and so is its unit.
  const own = uid === 0 || (unasked !== '' && !atHome) ? [] : [{ name: PACKAGED, manager: ['--user'] }];
  return atHome ? own : [...own, { name: PACKAGED, manager: [] }];
}

function judge({ name, manager }: Unit, { ActiveState, UnitFileState, NRestarts = '0' }: Told): Finding {
  const systemctl = ['systemctl', ...manager].join(' ');
  const restarts = NRestarts === '0' ? '' : `, and was started again ${NRestarts} times`;
  if (ActiveState === 'failed') {
    const journal = ['journalctl', ...manager, '-u', name].join(' ');
    return units.broken(name, 'has failed', `${journal} says why; then: ${systemctl} restart ${name}`);
  }
  if (ActiveState === 'inactive') return units.hint(name, 'is there, and off', `${systemctl} enable --now ${name}`);
  if (UnitFileState === 'disabled')
    return units.hint(name, `is not started at boot${restarts}`, `${systemctl} enable ${name}`);
  return units.ok(name, `is ${ActiveState}, and started at boot${restarts}`);
}

type Told = Readonly<Record<string, string>>;

async function show({ name, manager }: Unit): Promise<Told> {
  const wanted = '--property=LoadState,ActiveState,UnitFileState,NRestarts';
  const { stdout } = await promisify(execFile)('systemctl', [...manager, 'show', name, wanted], {
    timeout: 5_000,
  }).catch(() => ({
    stdout: '',
  }));
  return Object.fromEntries(Array.from(stdout.matchAll(/^(\w+)=(.*)$/gm), ([, key, value]) => [key, value]));
}
