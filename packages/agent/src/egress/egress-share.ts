/** What all sandboxes of a host may have open outside the mesh together: a part of the agent's files, for the mesh goes first. */
import type { OpenFiles } from '../bytes/open-files.ts';

/** Of the files that flows may have. */
const PART = 4;
/** The program's end of a flow, and this host's. */
const FILES_EACH = 2;

interface Open {
  /** Flows that it has open, or opens. */
  readonly open: number;
}

export class EgressShare {
  /** Flows. */
  readonly most: number;
  readonly #all = new Set<Open>();

  constructor({ usable }: Pick<OpenFiles, 'usable'>) {
    this.most = Math.floor(usable / PART / FILES_EACH);
  }

  enter(one: Open): void {
    this.#all.add(one);
  }

  leave(one: Open): void {
    this.#all.delete(one);
  }

  /** Why there is no room for another, if so. */
  full(): string | undefined {
    let open = 0;
    for (const one of this.#all) open += one.open;
    if (open < this.most) return undefined;
    return `programs in sandboxes of this host already have the ${this.most} flows open outside the mesh that its files allow them; raise the limit (ulimit -n, or LimitNOFILE= in the unit)`;
  }
}
