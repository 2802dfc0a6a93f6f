/** The seen wildcards' copy on disk: an agent that starts before its programs leaves them the ports that they took. */
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { readSecretFile, replaceSecretFile } from '@weft/proto/files';
import type { Logger } from 'pino';
import { z } from 'zod';
import { SeenWildcards } from '../inbound/seen-wildcards.ts';

const wildcardsFile = z.strictObject({
  version: z.literal(1),
  ports: z.array(z.string().regex(/^\d{1,5}\/(tcp|udp)$/)).max(131_072),
});

/** What was kept; nothing when the file is damaged, which costs what the first start of a host costs. */
export async function openSeenWildcards(directory: string, logger: Logger): Promise<SeenWildcards> {
  const path = join(directory, 'wildcards.json');
  let newest: readonly string[] = [];
  let waiting: boolean = false;
  let writing: Promise<void> = Promise.resolve();
  const keep = (ports: readonly string[]) => {
    newest = ports;
    // One look at the host may find many: all of them go in the write that waits.
    if (waiting) return;
    waiting = true;
    writing = writing
      .then(() => {
        waiting = false;
        const content: z.input<typeof wildcardsFile> = { version: 1, ports: [...newest] };
        return replaceSecretFile(path, JSON.stringify(content));
      })
      .catch((err: unknown) => {
        logger.error(
          { event: 'wildcards-not-kept', err },
          'wildcards.json cannot be written; a restart may take the port of a program that wants every address',
        );
      });
  };
  try {
    const content = await readSecretFile(path);
    return new SeenWildcards(content === undefined ? [] : wildcardsFile.parse(JSON.parse(content)).ports, keep);
  } catch (error) {
    logger.warn(
      { event: 'wildcards-file-damaged', reason: messageOf(error) },
      'wildcards.json cannot be read and is left out',
    );
    return new SeenWildcards([], keep);
  }
}
