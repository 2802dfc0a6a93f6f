/** The netmap's copy on disk: what an agent answers names from after a restart, before control is heard. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defined, itemKey, messageOf, type NetmapItem } from '@weft/proto';
import { emptySecretFile, readSecretFile, removeSecretFile, replaceSecretFile } from '@weft/proto/files';
import { decodeItem } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Position } from '../netmap/store.ts';
import type { Problems } from '../words/problems.ts';
import { AgentError } from './errors.ts';
import { refuseNewer } from './form.ts';

/** Changes come in bursts; the disk sees one write for all of a burst. */
const GATHER_MS = 200;

const FORM = 1;

const netmapFile = z.strictObject({
  version: z.literal(FORM),
  /** Whose netmap it is: another agent's in the same directory is of no use. */
  agentId: z.string(),
  timeline: z.string(),
  index: z.int().nonnegative(),
  revision: z.int().nonnegative(),
  /** Control's proof that it told of that revision, base64. */
  receipt: z.base64().optional(),
  /** When control was last heard, milliseconds since the Unix epoch. */
  heardMs: z.int().nonnegative(),
  /** Each item as control sent it, base64: with fields that the version which wrote this did not know. */
  items: z.array(z.base64()),
});

export interface KeptNetmap {
  readonly position: Position;
  /** Items as control sent them, by key. */
  readonly encoded: ReadonlyMap<string, Uint8Array>;
  readonly heardMs: number;
}

export interface LoadedNetmap extends KeptNetmap {
  readonly items: readonly NetmapItem[];
}

const pathIn = (directory: string) => join(directory, 'netmap.json');

/**
 * The netmap kept for this agent, or undefined when there is none that can be used. Losing it costs a fresh copy from
 * control and nothing else, so a damaged one is logged and left out, as is a single damaged item. Throws AgentError for one of
 * a newer form: what it says that nobody may do shall not be passed over, nor written over.
 */
export async function loadNetmap(
  directory: string,
  agentId: string,
  logger: Logger,
): Promise<LoadedNetmap | undefined> {
  try {
    const path = pathIn(directory);
    const content = await readSecretFile(path);
    // Emptied is what it was where something was taken away that could not be written, such as the membership.
    if (content === undefined || content === '') return undefined;
    const read: unknown = JSON.parse(content);
    refuseNewer(path, read, FORM, 'remove it, after which this host serves nothing until it hears control');
    const kept = netmapFile.parse(read);
    if (kept.agentId !== agentId) return undefined;
    const items: NetmapItem[] = [];
    const encoded = new Map<string, Uint8Array>();
    for (const text of kept.items) {
      try {
        const bytes = new Uint8Array(Buffer.from(text, 'base64'));
        const item = decodeItem(bytes);
        items.push(item);
        encoded.set(itemKey(item), bytes);
      } catch (error) {
        logger.warn({ event: 'kept-item-rejected', kind: kindOf(error) }, 'an item of netmap.json cannot be read');
      }
    }
    const { timeline, index, revision, heardMs } = kept;
    const receipt = kept.receipt === undefined ? undefined : new Uint8Array(Buffer.from(kept.receipt, 'base64'));
    return { position: { timeline, index, revision, ...defined({ receipt }) }, items, encoded, heardMs };
  } catch (error) {
    if (error instanceof AgentError) throw error;
    logger.warn({ event: 'netmap-file-damaged', kind: kindOf(error) }, 'netmap.json cannot be read and is left out');
    return undefined;
  }
}

/** Whether what was kept was put out of the way, for it permitted what was taken away since. */
export async function netmapPutAway(directory: string): Promise<boolean> {
  return (await readSecretFile(pathIn(directory)).catch(() => undefined)) === '';
}

/** The kind of mistake alone: a parser's message may quote the file, and the file holds keys. */
function kindOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'damaged';
}

/** What there is to keep, asked at the moment of writing. */
export type KeepSource = () => KeptNetmap;

export interface NetmapKeeperParts {
  readonly directory: string;
  readonly agentId: string;
  readonly source: KeepSource;
  readonly problems: Problems;
  /** What could not be written is tried again until then. */
  readonly signal: AbortSignal;
  readonly retry?: RetryPace;
}

/** From one try to the next, milliseconds; each pause is twice the one before. */
interface RetryPace {
  readonly firstMs: number;
  readonly mostMs: number;
}

const RETRY: RetryPace = { firstMs: 1_000, mostMs: 30_000 };
const STARTS_AS_BEFORE = 'with what was permitted before';
const STARTS_CLOSED =
  'with nothing, and serve nothing until it hears control: what was kept may permit more, and was put out of the way';
/** A disk that takes longer is told of as one that does not keep, rather than an agent as one that does not enforce. */
const PATIENCE_MS = 2_000;

/**
 * Keeps the netmap's copy as what it is of: one write at a time, the newest state at each. What fails is a problem that stands,
 * and is tried again until it succeeds. A copy that permits what was taken away since is put out of the way: without one a start
 * permits nothing until control is heard.
 */
export class NetmapKeeper {
  readonly #parts: NetmapKeeperParts;
  readonly #pace: RetryPace;
  #gathering: NodeJS.Timeout | undefined;
  #retrying: NodeJS.Timeout | undefined;
  #retryMs: number;
  /** The membership is over, and the file shall not be there. */
  #removed: boolean = false;
  /** Something was taken away that the disk does not know of. */
  #owing: boolean = false;
  #last: Promise<boolean> = Promise.resolve(true);
  /** A write that has not begun yet, and so will have what is there now. */
  #next: Promise<boolean> | undefined;
  #recovered = Promise.withResolvers<void>();

  constructor(parts: NetmapKeeperParts) {
    this.#parts = parts;
    this.#pace = parts.retry ?? RETRY;
    this.#retryMs = this.#pace.firstMs;
    parts.signal.addEventListener('abort', () => clearTimeout(this.#retrying), { once: true });
  }

  /** Something changed: it will be written soon. */
  changed(): void {
    this.#gathering ??= setTimeout(() => void this.#write(), GATHER_MS);
  }

  /**
   * Whether a start from the disk would enforce all that is enforced now. What only adds is written when it suits; what takes
   * away is waited for.
   */
  async holds(takesAway: boolean): Promise<boolean> {
    if (takesAway) {
      this.#owing = true;
      return await Promise.race([this.#write(), sleep(PATIENCE_MS, false, { ref: false })]);
    }
    this.changed();
    return !this.#owing || (await Promise.race([this.#last, sleep(PATIENCE_MS, false, { ref: false })]));
  }

  /** Resolves when what could not be written was. */
  get recovered(): Promise<void> {
    return this.#recovered.promise;
  }

  /** Writes now; resolves when it stands on the disk, or could not be written. */
  async flush(): Promise<void> {
    await this.#write();
  }

  /** Removes the copy: the membership is over, and its keys must not outlive it. */
  async remove(): Promise<void> {
    this.#removed = true;
    await this.#write();
  }

  /** Control took the end of the membership back: there is something to keep again. */
  resume(): void {
    if (!this.#removed) return;
    this.#removed = false;
    this.changed();
  }

  /** One after another, so that an older write never lands on a newer one. */
  #write(): Promise<boolean> {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#settle());
      this.#last = this.#next;
    }
    return this.#next;
  }

  async #settle(): Promise<boolean> {
    this.#next = undefined;
    clearTimeout(this.#retrying);
    const path = pathIn(this.#parts.directory);
    try {
      await (this.#removed ? removeSecretFile(path) : replaceSecretFile(path, this.#content()));
    } catch (error) {
      const permitsMore = this.#owing || this.#removed;
      this.#failed(error, permitsMore && (await emptySecretFile(path)));
      return false;
    }
    // One that waits will say for itself whether it succeeded.
    if (this.#next === undefined) this.#succeeded();
    return true;
  }

  #succeeded(): void {
    this.#owing = false;
    this.#retryMs = this.#pace.firstMs;
    this.#parts.problems.clear('netmap-not-kept', 'netmap.json');
    this.#recovered.resolve();
    this.#recovered = Promise.withResolvers();
  }

  #failed(error: unknown, putAway: boolean): void {
    const { problems, signal } = this.#parts;
    const words = putAway ? STARTS_CLOSED : STARTS_AS_BEFORE;
    const message = `${messageOf(error)}; until it can, this host would start again ${words}`;
    problems.raise({ code: 'netmap-not-kept', subject: 'netmap.json', message });
    if (signal.aborted) return;
    this.#retrying = setTimeout(() => void this.#write(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, this.#pace.mostMs);
  }

  #content(): string {
    const { agentId, source } = this.#parts;
    const { position, encoded, heardMs } = source();
    const content: z.input<typeof netmapFile> = {
      version: FORM,
      agentId,
      timeline: position.timeline,
      index: position.index,
      revision: position.revision,
      ...defined({ receipt: position.receipt && Buffer.from(position.receipt).toString('base64') }),
      heardMs,
      items: Array.from(encoded.values(), (bytes) => Buffer.from(bytes).toString('base64')),
    };
    return JSON.stringify(content);
  }
}
