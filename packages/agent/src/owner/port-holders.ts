/** Who has ports of this host, as far as may be seen: socket → who made it → who holds it → what that process is. */
import type { HostPort, Protocol } from '@weft/proto';
import { Holders } from './holders.ts';
import { ownSockets } from './own-sockets.ts';
import { readProcess } from './process.ts';
import { inSlices } from './slices.ts';
import { type FoundSocket, type Sockets, SocketTables } from './socket-tables.ts';
import { Users } from './users.ts';

export type PortPlace = HostPort & { readonly protocol: Protocol };

export interface PortHolder {
  /** Whether it is this very agent. */
  readonly own: boolean;
  /** Of who made the socket; its name, or its number where it has none here. */
  readonly user: string;
  /** Undefined where this agent may not see which process it is. */
  readonly pid?: number;
  /** Path of its file; empty where it may not be seen. */
  readonly program: string;
}

/** In the order of the places; undefined where nobody takes what comes there. Takes its time: not for a thread that carries bytes. */
export async function portHolders(
  places: readonly PortPlace[],
  tables: Sockets = new SocketTables(),
): Promise<readonly (PortHolder | undefined)[]> {
  const sockets = (await tables.listeners(places)).map(([socket]) => socket);
  const own = ownSockets();
  const others = sockets.filter((socket) => socket !== undefined && !own.has(socket.inode)) as readonly FoundSocket[];
  const holders = new Holders();
  const pids = new Map<string, number>();
  for (const [uid, made] of Map.groupBy(others, (socket) => socket.uid)) {
    const inodes = new Set(made.map(({ inode }) => inode));
    const held = await inSlices(holders.walk(inodes, { uid, group: () => undefined }));
    for (const [inode, [holder]] of held) if (holder !== undefined) pids.set(inode, holder.pid);
  }
  const users = new Users();
  users.refresh();
  return sockets.map((socket) => {
    if (socket === undefined) return undefined;
    const user = users.nameOf(socket.uid);
    if (own.has(socket.inode)) return { own: true, user, pid: process.pid, program: '' };
    const pid = pids.get(socket.inode);
    if (pid === undefined) return { own: false, user, program: '' };
    return { own: false, user, pid, program: readProcess(pid)?.program ?? '' };
  });
}
