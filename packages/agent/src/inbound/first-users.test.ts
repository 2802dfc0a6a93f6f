import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { IS_ROOT } from '../owner/programs.fixture.ts';

const MODULE = new URL('./first-users.ts', import.meta.url).href;
/** Whom it takes for another than bin, of daemon, of root and of whoever the kernel has no number for. */
const ASK = `
  const { FirstUsers } = await import(${JSON.stringify(MODULE)});
  const redis = { name: 'redis', targets: [], match: { user: 'bin' } };
  const users = new FirstUsers({ raise() {}, clear() {}, current: [] });
  users.refresh(new Map([['redis', redis]]));
  console.log(JSON.stringify([[1], [0], [65534], [65534, 1]].map((of) => users.otherThanMatched(redis, of) ?? '')));
`;

async function others(...command: readonly string[]): Promise<unknown> {
  const [file = '', ...argv] = [...command, process.execPath, '--no-warnings', '--input-type=module', '-e', ASK];
  return JSON.parse((await promisify(execFile)(file, argv)).stdout);
}

describe.runIf(IS_ROOT)('a user who listens beside the one that is meant', () => {
  it('is another', async () => {
    expect(await others()).toEqual(['daemon', '', 'nobody', 'nobody']);
  });

  it('may be that one where the agent’s user namespace has no number for either', async () => {
    expect(await others('/usr/bin/unshare', '--user', '--map-root-user')).toEqual(['daemon', '', '', 'daemon']);
  });
});
