/** The netmap's copy on disk: what an agent answers names from after a restart, before control is heard. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NetmapItem } from '@weft/proto';
import { readSecretFile, replaceSecretFile } from '@weft/proto/files';
import { decodeItem, encodeItem } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Position } from '../netmap/snapshot.ts';

/** Changes come in bursts; the disk sees one write for all of a burst. */
const GATHER_MS = 200;

const netmapFile = z.strictObject({
  version: z.literal(1),
  /** Whose netmap it is: another agent's in the same directory is of no use. */
  agentId: z.string(),
  timeline: z.string(),
  index: z.int().nonnegative(),
  revision: z.int().nonnegative(),
  /** When control was last heard, milliseconds since the Unix epoch. */
  heardMs: z.int().nonnegative(),
  /** Each item in the form that it has on the wire, base64: encoded anew, without what this version does not know. */
  items: z.array(z.base64()),
});

export interface KeptNetmap {
  readonly position: Position;
  readonly items: readonly NetmapItem[];
  readonly heardMs: number;
}

const pathIn = (directory: string) => join(directory, 'netmap.json');

/**
 * The netmap kept for this agent, or undefined when there is none that can be used. Losing it costs a fresh copy from
 * control and nothing else, so a damaged one is logged and left out, as is a single damaged item.
 */
export async function loadNetmap(directory: string, agentId: string, logger: Logger): Promise<KeptNetmap | undefined> {
  try {
    const content = await readSecretFile(pathIn(directory));
    if (content === undefined) return undefined;
    const kept = netmapFile.parse(JSON.parse(content));
    if (kept.agentId !== agentId) return undefined;
    const items = kept.items.flatMap((encoded): NetmapItem[] => {
      try {
        return [decodeItem(Buffer.from(encoded, 'base64'))];
      } catch (error) {
        logger.warn({ event: 'kept-item-rejected', kind: kindOf(error) }, 'an item of netmap.json cannot be read');
        return [];
      }
    });
    const { timeline, index, revision, heardMs } = kept;
    return { position: { timeline, index, revision }, items, heardMs };
  } catch (error) {
    logger.warn({ event: 'netmap-file-damaged', kind: kindOf(error) }, 'netmap.json cannot be read and is left out');
    return undefined;
  }
}

/** The kind of mistake alone: a parser's message may quote the file, and the file holds keys. */
function kindOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'damaged';
}

/** What there is to keep, asked at the moment of writing. */
export type KeepSource = () => KeptNetmap;

/** Writes the netmap after changes: one write at a time, the newest state at each. */
export class NetmapKeeper {
  readonly #directory: string;
  readonly #agentId: string;
  readonly #source: KeepSource;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(directory: string, agentId: string, source: KeepSource, logger: Logger) {
    this.#directory = directory;
    this.#agentId = agentId;
    this.#source = source;
    this.#logger = logger;
  }

  /** Something changed: it will be written soon. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, GATHER_MS);
  }

  /** Writes now; resolves when it stands on the disk, or could not be written and was logged. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#write();
  }

  /** Removes the copy: the membership is over, and its keys must not outlive it. */
  async remove(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#next(() => rm(pathIn(this.#directory), { force: true }));
  }

  #write(): Promise<void> {
    return this.#next(() => {
      const { position, items, heardMs } = this.#source();
      const content: z.input<typeof netmapFile> = {
        version: 1,
        agentId: this.#agentId,
        timeline: position.timeline,
        index: position.index,
        revision: position.revision,
        heardMs,
        items: items.map((item) => Buffer.from(encodeItem(item)).toString('base64')),
      };
      return replaceSecretFile(pathIn(this.#directory), JSON.stringify(content));
    });
  }

  /** Steps run one after another, so that an older write never lands on a newer one. */
  #next(step: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(step).catch((err: unknown) => {
      this.#logger.error(
        { event: 'netmap-not-kept', err },
        'netmap.json cannot be written; a restart would use older names',
      );
    });
    return this.#writing;
  }
}
