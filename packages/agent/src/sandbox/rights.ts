/** Which sandboxes this host takes, by the kernel's word of who begins one. */
import { listed } from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { Users } from '../owner/users.ts';
import type { Netmap } from '../words/netmap.ts';

export interface RightsOptions {
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  /** Of the agent; undefined where users have no numbers. */
  readonly uid: number | undefined;
  readonly users?: Users;
}

/** Root outside owns what settings of the kernel are written by, and what a namespace does not hold. */
export const ROOT_REFUSED =
  'root may run nothing in a sandbox, which would keep it from nothing: its files and the settings of the kernel are root’s; ' +
  'run it as another user (setpriv --reuid=USER --regid=GROUP --init-groups weft run …, or User= in a unit)';

/** Names in a sentence. */
const NAMED = 6;

export class SandboxRights {
  readonly #options: RightsOptions;
  readonly #users: Users;

  constructor(options: RightsOptions) {
    this.#options = options;
    this.#users = options.users ?? new Users();
  }

  /** Its name, or the number written out. */
  nameOf(uid: number): string {
    this.#users.refresh();
    return this.#users.nameOf(uid);
  }

  /** Root, and who runs the agent: nobody's share bounds them. */
  isOwn(uid: number): boolean {
    return uid === 0 || uid === this.#options.uid;
  }

  /** Why that user may not run a program as the service here; undefined where it may. */
  refusal({ self, services: known }: Netmap, service: string, uid: number): string | undefined {
    if (self === undefined)
      return 'this host is a member of no network now, so nothing may run as a service of one; see weft status';
    if (!known.has(service))
      return `network ${self.network} has no service ${service}; declare it in the mesh file, then weft apply`;
    if (!self.services.includes(service)) {
      const may = self.services.length === 0 ? 'no service' : listed(self.services, NAMED);
      return `host ${self.host} may run ${may}, and not ${service}; an operator permits it: weft grant ${self.host} --services ${service}`;
    }
    if (uid === 0) return ROOT_REFUSED;
    if (uid === this.#options.uid) return undefined;
    const match = this.#options.services.get(service)?.match;
    this.#users.refresh();
    const name = this.#users.nameOf(uid);
    const refused = `user ${name} may run nothing as ${service} on host ${self.host}: `;
    if (match?.user === undefined || this.#users.numberOf(match.user) !== uid)
      return (
        `${refused}only the agent's own user and the one that the agent file names may; ` +
        `write services: { ${service}: { match: { user: ${name} } } } there, then weft reload`
      );
    const more = Object.keys(match).filter((key) => key !== 'user');
    if (more.length === 0) return undefined;
    // Whoever calls weft run is of no such unit or file yet; the user alone would be less than the agent file asks for.
    return (
      `${refused}its match in the agent file asks for more than the user (${more.join(', ')}), which a program in a sandbox is not known by; ` +
      `leave match: { user: ${name} } there alone, then weft reload, or run it outside`
    );
  }
}
