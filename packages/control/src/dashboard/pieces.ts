/**
 * The state of one network as the page has it: pieces by key, each as the JSON it is sent as, with the version at which it last
 * changed. Who was sent a version is brought up to date by what changed since; nothing is queued for anyone.
 */

/** JSON texts: of each service by name, of each agent by host, and so on. */
export interface PieceTexts {
  readonly network: string;
  readonly services: ReadonlyMap<string, string>;
  readonly agents: ReadonlyMap<string, string>;
  readonly traffic: ReadonlyMap<string, string>;
}

/** Keys that are gone are remembered, so that who resumes is told; of more, a snapshot tells as well. */
const TOMBSTONES = 1_000;

export class Pieces {
  /** 0 before the first update. */
  version = 0;
  readonly #network = new Group();
  readonly #services = new Group();
  readonly #agents = new Group();
  readonly #traffic = new Group();
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
      const entries = group.since(known).map(({ key, text }) => `${JSON.stringify(key)}:${text}`);
      if (entries.length > 0 || known === undefined) fields.push(`"${name}":{${entries.join()}}`);
    }
    return `{${fields.join()}}`;
  }

  #forgotten(): number {
    return Math.max(...this.#named.map(([, group]) => group.forgotten));
  }
}

interface Piece {
  readonly text: string;
  readonly version: number;
}

class Group {
  /** Of what was gone by this version, not all is remembered. */
  forgotten = 0;
  #pieces = new Map<string, Piece>();
  /** Key to the version at which it went, oldest first. */
  readonly #gone = new Map<string, number>();

  update(texts: ReadonlyMap<string, string>, version: number): boolean {
    const next = new Map<string, Piece>();
    let changed = false;
    for (const [key, text] of texts) {
      const before = this.#pieces.get(key);
      if (before?.text === text) {
        next.set(key, before);
        continue;
      }
      next.set(key, { text, version });
      this.#gone.delete(key);
      changed = true;
    }
    for (const key of this.#pieces.keys()) {
      if (texts.has(key)) continue;
      this.#gone.set(key, version);
      changed = true;
    }
    this.#pieces = next;
    this.#forget();
    return changed;
  }

  /** All there is when `since` is undefined; otherwise what changed, with `null` for what went. */
  since(since: number | undefined): { readonly key: string; readonly text: string }[] {
    const found: { key: string; text: string }[] = [];
    for (const [key, { text, version }] of this.#pieces) {
      if (since === undefined || version > since) found.push({ key, text });
    }
    if (since === undefined) return found;
    for (const [key, version] of this.#gone) if (version > since) found.push({ key, text: 'null' });
    return found;
  }

  #forget(): void {
    for (const [key, version] of this.#gone) {
      if (this.#gone.size <= TOMBSTONES) return;
      this.#gone.delete(key);
      this.forgotten = version;
    }
  }
}
