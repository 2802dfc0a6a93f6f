import { readdirSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ownSockets } from './own-sockets.ts';
import { Caller } from './programs.fixture.ts';
import { StillProcess } from './still-process.ts';

it('holds what it held as long as it sleeps, and is read again once it has run', async () => {
  const caller = new Caller();
  const before = readdirSync('/proc/self/fd').length;
  const still = new StillProcess(caller.pid);
  try {
    const client = await caller.ask('listen x');
    expect(client).toMatch(/^\d+$/);
    const [inode = ''] = readdirSync(`/proc/${caller.pid}/fd`)
      .map((file) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${caller.pid}/fd/${file}`))?.[1] ?? '')
      .filter((one) => one !== '')
      .slice(-1);
    for (let time = 0; time < 3; time++) expect(still.holds(inode)).toBe(true);
    for (const other of ownSockets()) expect(still.holds(other) && other === inode).toBe(false);
    await caller.ask('close x');
    expect(still.holds(inode)).toBe(false);
    await caller.end();
    expect(still.holds(inode)).toBeUndefined();
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  } finally {
    still.close();
    await caller.end();
  }
});
