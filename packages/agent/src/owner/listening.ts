/**
 * Which programs of services listen where others can come from: socket → who holds it → what that process is, as for callers. Done now and then, for
 * all of the host together, in a thread that ends with it.
 */
import type { Protocol } from '@weft/proto';
import type { OwnerRule } from '../words/owner.ts';
import type { ListeningProgram } from '../words/place.ts';
import { decidedByMaker, type Fits, fitsOf } from './fits.ts';
import { Holders } from './holders.ts';
import { textAddress } from './kernel-form.ts';
import { lineOf } from './line.ts';
import { ownSockets } from './own-sockets.ts';
import { type ProcessFacts, parentsOf, readProcess } from './process.ts';
import type { Held } from './search.ts';
import { inSlices } from './slices.ts';
import { SocketTables, type Place as TablePlace } from './socket-tables.ts';
import { Users } from './users.ts';

/** What was asked in vain is told by its number. */
export interface FoundListening {
  readonly programs: readonly ListeningProgram[];
  /** Sockets beyond loopback of which nobody here may see who holds them. */
  readonly hidden: number;
}

type Taker = TablePlace & { readonly protocol: Protocol };

/** Of all that runs here, what is of a service by these rules. */
export async function findListening(
  rules: readonly OwnerRule[],
  tables: SocketTables = new SocketTables(),
  holders: Holders = new Holders(),
): Promise<FoundListening> {
  const own = ownSockets();
  const beyond = tables.takers().filter(({ address, socket }) => !isLoopback(address) && !own.has(socket.inode));
  if (beyond.length === 0 || rules.length === 0) return { programs: [], hidden: 0 };
  const places = rules.flatMap(({ service, targets }) => targets.map((target) => ({ ...target, service })));
  const atTargets = await tables.listeners(places);
  const wanted = [...beyond.map(({ socket }) => socket), ...atTargets.flat()];
  const held = new Map<string, Held extends ReadonlyMap<string, infer Those> ? Those : never>();
  for (const [uid, sockets] of Map.groupBy(wanted, (socket) => socket.uid)) {
    const inodes = new Set(sockets.map(({ inode }) => inode));
    const found = await inSlices(holders.walk(inodes, { uid, group: () => undefined }));
    for (const [inode, those] of found) held.set(inode, those);
  }
  const above = parentsOf(process.pid);
  const served = new Map<number, Set<string>>();
  for (const [at, { service }] of places.entries()) {
    for (const { inode } of atTargets[at] ?? [])
      for (const { pid } of held.get(inode) ?? [])
        if (!above.has(pid)) served.set(pid, (served.get(pid) ?? new Set()).add(service));
  }
  return tell(rules, beyond, held, served);
}

function tell(
  rules: readonly OwnerRule[],
  beyond: readonly Taker[],
  held: Held,
  served: ReadonlyMap<number, ReadonlySet<string>>,
): FoundListening {
  const users = new Users();
  users.refresh();
  const numberOf = (user: string) => users.numberOf(user);
  const known = new Map<number, { readonly fits: Fits; readonly program: string } | undefined>();
  const look = (pid: number) => {
    if (!known.has(pid)) {
      const self = readProcess(pid);
      const kin = self && { self, line: lineOf(self, (above) => readProcess(above)), serves: servedBy };
      known.set(pid, kin && { fits: fitsOf(rules, kin, numberOf), program: kin.self.program });
    }
    return known.get(pid);
  };
  const servedBy = ({ pid }: ProcessFacts): Fits => [...(served.get(pid) ?? [])];
  const programs: ListeningProgram[] = [];
  let hidden = 0;
  for (const { protocol, address, port, socket } of beyond) {
    const decided = decidedByMaker(rules, { uid: socket.uid, group: undefined, only: false }, numberOf);
    const looked = (held.get(socket.inode) ?? []).flatMap(({ pid }) => look(pid) ?? []);
    if (looked.length === 0 && decided === undefined) hidden += 1;
    // Told of each that it may be: what is exposed is to be seen to, whosever it is.
    const services = new Set(decided ?? looked.flatMap(({ fits }) => fits));
    const program = looked.find(({ program }) => program !== '')?.program ?? '';
    for (const service of services) programs.push({ service, protocol, address: textAddress(address), port, program });
  }
  return { programs, hidden };
}

/** Of 8 or 32 hexadecimal digits in the network's order; a mapped one is IPv4's. */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.startsWith('7f');
  return address === `${'0'.repeat(31)}1` || address.startsWith('00000000000000000000ffff7f');
}
