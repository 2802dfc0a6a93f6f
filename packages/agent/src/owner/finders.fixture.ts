/** Finders of callers, by each way that the kernel is asked. */
import { existsSync } from 'node:fs';
import type { CallerSocket, Owner, OwnerRule } from '../words/owner.ts';
import { Diagnosis, PERL } from './diagnosis.ts';
import { OwnerFinder } from './finder.ts';
import { FirstLook } from './first-look.ts';
import { provenKernel } from './kernel-sockets.ts';
import { openNetlink } from './netlink-calls.ts';
import type { Sockets } from './socket-tables.ts';

export interface Finder {
  find(callers: readonly CallerSocket[]): Promise<readonly Owner[]>;
}

/** A program of its own, the thread that finds callers, or that and before it the one that takes their calls. */
export type Way = 'a program' | 'its thread' | 'a first look';

const found = openNetlink(4);
found?.close();

/** Those that this Node and this host have. */
export const WAYS: readonly Way[] = [
  ...(existsSync(PERL) ? (['a program'] as const) : []),
  ...(found === undefined ? [] : (['its thread', 'a first look'] as const)),
];

/** `tables`: where the kernel answers nobody. To be closed. */
export async function findBy(way: Way, rules: readonly OwnerRule[], tables?: Sockets): Promise<Finder & Disposable> {
  const kernel = way === 'a program' ? undefined : await provenKernel();
  const diagnosis = new Diagnosis(tables, undefined, kernel);
  const finder = new OwnerFinder(diagnosis);
  finder.follow(rules);
  const close = () => diagnosis.close();
  if (way !== 'a first look' || kernel === undefined)
    return { find: (callers) => finder.find(callers), [Symbol.dispose]: close };
  const first = new FirstLook(kernel);
  first.follow(rules);
  const one = async (caller: CallerSocket): Promise<Owner> => {
    const seen = first.look(caller);
    if (seen !== undefined && 'sockets' in seen) return seen;
    const socket = seen !== undefined && 'owner' in seen ? seen.socket : seen;
    return await new Promise((resolve) => {
      const answered = (_: number, owner: Owner, learned: Parameters<FirstLook['learn']>[0] = {}) => {
        first.learn(learned);
        resolve(owner);
      };
      void finder.answer([caller], answered, [socket]);
    });
  };
  return { find: (callers) => Promise.all(callers.map(one)), [Symbol.dispose]: close };
}
