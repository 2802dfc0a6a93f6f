/**
 * Whether a program on `::` has its port over IPv4 too. The kernel's tables do not tell: nobody but its owner reads IPV6_V6ONLY, which
 * nginx's `listen [::]:80` sets. A bind does: beside a program that takes both it is refused.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import type { ListenerTable } from './listener-table.ts';

/** Ports that a look tries, beside those where services' programs are expected: anybody on the host may hold all there are. */
const MOST_TRIED = 64;

/** Of this host on every Linux, and no program's of its own. */
const TRIED = '127.255.255.254';

export class SixOnly {
  readonly #known = new Set<string>();
  /** Free at the last look: also the port of a program that was just ending, and of whose next run the same would be thought. */
  #free: ReadonlySet<string> = new Set();

  /**
   * The table, with what a bind tells twice in a row. A program that takes IPv6 alone is known for that until it goes; another may
   * start anew within a second, so its port is tried at each look. Of more ports than are tried the others count as held over both,
   * so that what may be exposed is told as such. `first` are tried whatever their number, such as 8080/tcp.
   */
  async marked(table: ListenerTable, first: Pick<ReadonlySet<string>, 'has'> = new Set()): Promise<ListenerTable> {
    const doubtful = table.onSixWildcard;
    for (const key of this.#known) if (!doubtful.has(key)) this.#known.delete(key);
    const free = new Set<string>();
    let further = 0;
    for (const key of doubtful) {
      if (!first.has(key) && ++further > MOST_TRIED) continue;
      if (this.#known.has(key) || !(await canBind(key))) continue;
      if (this.#free.has(key)) this.#known.add(key);
      else free.add(key);
    }
    this.#free = free;
    return table.withSixOnly([...this.#known, ...free]);
  }
}

/** False also when it cannot be tried: then no program is shut out. */
async function canBind(key: string): Promise<boolean> {
  const [port, protocol] = key.split('/');
  const where = { port: Number(port), exclusive: true };
  const socket =
    protocol === 'tcp'
      ? net.createServer((stray) => stray.destroy()).listen({ ...where, host: TRIED })
      : dgram.createSocket('udp4').bind({ ...where, address: TRIED });
  try {
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
