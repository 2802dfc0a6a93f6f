/**
 * The state of one network as the page has it: pieces by key, each as the JSON it is sent as, with the version at which it last
 * changed. Who was sent a version is brought up to date by what changed since; nothing is queued for anyone.
 */

import { Versions } from '../fleet/versions.ts';

/** JSON texts: of each service by name, of each agent by host, and so on. */
export interface PieceTexts {
  readonly network: string;
  readonly services: ReadonlyMap<string, string>;
  readonly agents: ReadonlyMap<string, string>;
  readonly traffic: ReadonlyMap<string, string>;
}

export class Pieces {
  /** 0 before the first update. */
  version = 0;
  readonly #network = new Versions();
  readonly #services = new Versions();
  readonly #agents = new Versions();
  readonly #traffic = new Versions();
  readonly #named = [
    ['services', this.#services],
    ['agents', this.#agents],
    ['traffic', this.#traffic],
  ] as const;

  /** Compares with what was; the version grows when anything differs. */
  update({ network, services, agents, traffic }: PieceTexts): void {
    const version = this.version + 1;
    const changed = [
      this.#network.update(new Map([['', network]]), version),
      this.#services.update(services, version),
      this.#agents.update(agents, version),
      this.#traffic.update(traffic, version),
    ];
    if (changed.includes(true)) this.version = version;
  }

  /** A LiveEvent as JSON: what changed since that version, or everything when it is undefined or too long ago. */
  event(since: number | undefined, atMs: number): string {
    const known = since !== undefined && since <= this.version && since >= this.#forgotten() ? since : undefined;
    const fields = [`"atMs":${atMs}`, `"snapshot":${known === undefined}`];
    const [network] = this.#network.since(known);
    if (network !== undefined) fields.push(`"network":${network.text}`);
    for (const [name, group] of this.#named) {
      const entries = group.since(known).map(({ key, text }) => `${JSON.stringify(key)}:${text ?? 'null'}`);
      if (entries.length > 0 || known === undefined) fields.push(`"${name}":{${entries.join()}}`);
    }
    return `{${fields.join()}}`;
  }

  #forgotten(): number {
    return Math.max(...this.#named.map(([, group]) => group.forgotten));
  }
}
