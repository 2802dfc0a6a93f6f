/** Which limit is told as met, by the kernel's own word: in a user namespace with limits of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PERL } from '../../owner/diagnosis.ts';
import { NETWORK } from './network.ts';
import { PROGRAM_SIDE } from './program-side.ts';
import { REFUSALS } from './refusals.ts';
import { SYSTEM } from './system.ts';

const run = promisify(execFile);
const runs = process.platform === 'linux' && existsSync(PERL) && process.getuid?.() === 0;

const IN_SYSTEM = `${SYSTEM}${REFUSALS}${NETWORK}${PROGRAM_SIDE}`;
/** Room for one, which is taken by then. */
const MET: [sort: string, limited: string, steps: string][] = [
  ['net', 'unshare --net', 'make_networks("127.80.0.0", 12, undef)'],
  ['ipc', 'unshare --ipc', 'leave_host()'],
  ['uts', 'unshare --uts', 'leave_host()'],
  ['cgroup', 'unshare --cgroup', 'leave_host()'],
];

test.skipIf(!runs).each(MET)('names the limit of %s namespaces where it was met', async (sort, limited, steps) => {
  const limit = `echo 1 > /proc/sys/user/max_${sort}_namespaces && exec ${limited} "$@"`;
  const perl = [PERL, '-e', `${IN_SYSTEM}\n${steps};`, process.arch];
  const ended = run('unshare', ['--user', '--map-root-user', 'sh', '-c', limit, 'sh', ...perl]);
  await expect(ended).rejects.toMatchObject({
    code: 1,
    stderr:
      `weft: cannot make the sandbox: there are as many ${sort} namespaces as user.max_${sort}_namespaces permits (1), ` +
      `or they lie too deep in each other; raise it: sysctl -w user.max_${sort}_namespaces=2\n`,
  });
});
