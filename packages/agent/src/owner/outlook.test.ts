import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { PERL } from './diagnosis.ts';
import { openNetlink } from './netlink-calls.ts';
import type { Outlook } from './outlook.ts';
import { asUser, DAEMON, IS_ROOT } from './programs.fixture.ts';

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

const has = openNetlink(4);
has?.close();

const MODULE = new URL('./outlook.ts', import.meta.url).href;
const PROGRAM = `const { outlookHere } = await import(${JSON.stringify(MODULE)}); console.log(JSON.stringify(await outlookHere(process.env.NATIVE !== 'no')));`;

/** As a process of its own tells it. `before`: what runs first, such as to be another user. */
function outlook(...before: readonly string[]): Promise<Outlook> {
  return outlookBy('yes', before);
}

/** `native`: whether the thread may ask itself, where it can. */
async function outlookBy(native: 'yes' | 'no', before: readonly string[]): Promise<Outlook> {
  const [file = '', ...args] = [...before, process.execPath, '--input-type=module', '-e', PROGRAM];
  const { stdout } = await promisify(execFile)(file, args, {
    env: { ...process.env, NODE_NO_WARNINGS: '1', NATIVE: native },
    cwd: '/',
  });
  return JSON.parse(stdout) as Outlook;
}

const setpriv = (...options: readonly string[]) => ['/usr/bin/setpriv', ...options, '--'];
const both = '+sys_ptrace,+dac_read_search';
const asDaemon = ['--reuid=1', '--regid=1', '--clear-groups'];

describe.runIf(IS_ROOT && existsSync(PERL))('what a host lets its agent know', () => {
  it.each(['yes', 'no'] as const)(
    'is all of it for root, by the kernel; asked by its own thread: %s',
    async (native) => {
      expect(await outlookBy(native, [])).toEqual({ sight: 'all', sockets: 'kernel', missing: [] });
    },
  );

  it('is its own processes for an ordinary user, and which capabilities would give more', async () => {
    const missing = ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];
    expect(await outlook(...asUser(DAEMON))).toMatchObject({ sight: 'own', sockets: 'kernel', missing });
    const one = setpriv(...asDaemon, '--inh-caps=+sys_ptrace', '--ambient-caps=+sys_ptrace');
    expect(await outlook(...one)).toMatchObject({ sight: 'own', missing: ['CAP_DAC_READ_SEARCH'] });
  });

  it('is all for an ordinary user with both', async () => {
    const two = setpriv(...asDaemon, `--inh-caps=${both}`, `--ambient-caps=${both}`);
    expect(await outlook(...two)).toMatchObject({ sight: 'all', missing: [] });
  });

  const GROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`));
  it.runIf(GROUPS !== undefined)('is the units of all where sockets tell them', async () => {
    const group = `${GROUPS}/weft-test-${process.pid}-outlook.service`;
    mkdirSync(group);
    cleanup.push(() => rmdirSync(group));
    const within = ['/bin/sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh'];
    expect((await outlook(...within, ...asUser(DAEMON))).sight).toMatch(/^(units|groups)$/);
  });

  it('is by the tables where nothing asks the kernel', async () => {
    // A file system without Perl, as in a container.
    const without = ['/usr/bin/unshare', '-m', '/bin/sh', '-c', `mount --bind /bin/false ${PERL} && exec "$@"`, 'sh'];
    expect(await outlookBy('no', without)).toMatchObject({ sockets: 'tables' });
    // Which this thread may be.
    expect(await outlookBy('yes', without)).toMatchObject({ sockets: has === undefined ? 'tables' : 'kernel' });
  });
});
