/** What is to be closed, kept in the agent's directory: whoever closes it does so before the agent is up. */
import { join } from 'node:path';
import { PROTOCOLS, parseRange } from '@weft/proto';
import { readSecretFile, removeSecretFile, replaceSecretFile } from '@weft/proto/files';
import { z } from 'zod';
import { MOST_PLACES } from '../words/place.ts';
import { LAST_USER } from './ruleset.ts';

/** An address goes into nft's own words: nothing else may stand there. */
const address = z.union([z.ipv4(), z.ipv6()]);

export const servicePlace = z.object({
  service: z.string().max(63),
  protocol: z.enum(PROTOCOLS),
  address,
  port: z.int().min(1).max(65_535),
});

export const toBeClosed = z.object({
  places: z.array(servicePlace).max(MOST_PLACES).readonly(),
  /** Such as 100.80.0.0/12. */
  range: z.string().refine((text) => parseRange(text) !== undefined),
  /** Who the agent is, by number; an agent before this said nothing of it. */
  user: z.int().min(0).max(LAST_USER).optional(),
});
export type ToBeClosed = z.output<typeof toBeClosed>;

const guardFile = toBeClosed.extend({ version: z.literal(1) });

/** Undefined where none was asked for. Throws where it cannot be read. */
export async function readGuardFile(directory: string): Promise<ToBeClosed | undefined> {
  const content = await readSecretFile(pathIn(directory));
  return content === undefined ? undefined : guardFile.parse(JSON.parse(content));
}

/** Undefined: no guard is asked for any more. Throws FileError. */
export async function writeGuardFile(directory: string, wish: ToBeClosed | undefined): Promise<void> {
  if (wish === undefined) await removeSecretFile(pathIn(directory));
  else await replaceSecretFile(pathIn(directory), JSON.stringify({ version: 1, ...wish }));
}

function pathIn(directory: string): string {
  return join(directory, 'guard.json');
}
