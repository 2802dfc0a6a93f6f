/** When the newest revisions of one network came out, by control's clock: what tells for how long an agent is behind. */

interface Publication {
  readonly revision: number;
  readonly atMs: number;
}

/** An agent that is further behind is shown to be so since the oldest of these. */
const REMEMBERED = 64;

export class Publications {
  readonly #published: Publication[] = [];

  note(revision: number, atMs: number): void {
    this.#published.push({ revision, atMs });
    if (this.#published.length > REMEMBERED) this.#published.shift();
  }

  /** Since when a revision is out that is newer than this one; 0 when none is. */
  newerSinceMs(revision: number): number {
    return this.#published.find((published) => published.revision > revision)?.atMs ?? 0;
  }

  /** When each revision came out that is newer than `before`, and not newer than `revision`. */
  between(before: number, revision: number): number[] {
    return this.#published
      .filter((published) => published.revision > before && published.revision <= revision)
      .map(({ atMs }) => atMs);
  }
}
