/** Ranges of VIPs for agents that share a machine: those of other test files run beside them. */

/** Of 127.100.0.0 to 127.249.255.255, in /21 as many as this. */
const ALL = 150 * 32;
/** Files that run at once, at most, as `vitest.config.ts` has it. */
const SIDE_BY_SIDE = 4;
const SHARE = ALL / SIDE_BY_SIDE;

const worker = (Number(process.env.VITEST_POOL_ID ?? 1) - 1) % SIDE_BY_SIDE;
// Of another run on this machine they are apart by the process.
let next = (process.pid * 12) % SHARE;

/** A range of 2,048 addresses that no agent of another file has. */
export function freeRange(): string {
  const number = worker * SHARE + (next++ % SHARE);
  return `127.${100 + Math.floor(number / 32)}.${(number % 32) * 8}.0/21`;
}
