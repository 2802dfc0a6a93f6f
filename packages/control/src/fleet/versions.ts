/** Things by key, each as a text, with the version at which it last changed: who knows a version is told what changed since. */

/** Keys that are gone are remembered, so that who resumes is told; of more, only a snapshot tells. */
const TOMBSTONES = 1_000;

interface Thing {
  readonly text: string;
  readonly version: number;
}

export class Versions {
  /** Of what was gone by this version, not all is remembered. */
  forgotten = 0;
  #things = new Map<string, Thing>();
  /** Key to the version at which it went, oldest first. */
  readonly #gone = new Map<string, number>();

  /** All there is now. Whether anything differs from what was; if so it does at `version`. */
  update(texts: ReadonlyMap<string, string>, version: number): boolean {
    const next = new Map<string, Thing>();
    let changed = false;
    for (const [key, text] of texts) {
      const before = this.#things.get(key);
      if (before?.text === text) {
        next.set(key, before);
        continue;
      }
      next.set(key, { text, version });
      this.#gone.delete(key);
      changed = true;
    }
    for (const key of this.#things.keys()) {
      if (texts.has(key)) continue;
      this.#gone.set(key, version);
      changed = true;
    }
    this.#things = next;
    this.#forget();
    return changed;
  }

  /** All there is when `since` is undefined; otherwise what changed, and without a text what went. */
  since(since: number | undefined): { readonly key: string; readonly text: string | undefined }[] {
    const found: { key: string; text: string | undefined }[] = [];
    for (const [key, { text, version }] of this.#things) {
      if (since === undefined || version > since) found.push({ key, text });
    }
    if (since === undefined) return found;
    for (const [key, version] of this.#gone) if (version > since) found.push({ key, text: undefined });
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
