import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { MetProcess } from './met-process.ts';
import { beganAt } from './process.ts';

it('is nothing any more once it has ended, whatever its number is then', async () => {
  // Its standard input is a socket.
  const child = spawn('/bin/sleep', ['600'], { stdio: ['overlapped', 'ignore', 'ignore'] });
  try {
    await once(child, 'spawn');
    const { pid = 0 } = child;
    const began = beganAt(pid) ?? 0;
    const uid = process.getuid?.() ?? 0;
    expect(() => new MetProcess(pid, began + 1)).toThrow('it is gone');
    const met = new MetProcess(pid, began);
    const inode = met.inodeOf('0') ?? '';
    expect(inode).toMatch(/^\d+$/);
    expect(met.inodeOf('1')).toBe('');
    expect(met.inodeOf('99')).toBeUndefined();
    await expect.poll(() => met.holding('0', inode, uid)?.program).toMatch(/\/sleep$|\/coreutils$/);
    expect(met.holding('0', inode, uid)).toMatchObject({ pid, began, uid, parent: process.pid });
    expect(met.holding('0', inode, uid + 1)).toBeUndefined();
    expect(met.holding('1', inode, uid)).toBeUndefined();
    const facts = met.holding('0', inode, uid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(met.holding('0', inode, uid)).toBeUndefined();
    expect(facts?.cgroups).toEqual([]);
    met.close();
  } finally {
    child.kill('SIGKILL');
  }
});
