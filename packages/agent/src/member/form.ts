/** Each file of an agent tells the number of its form, so that a version from before it leaves it as it is, and says so. */
import { z } from 'zod';
import { AgentError } from './errors.ts';

/** What every form has in common, of which a later one says who wrote it. */
const anyForm = z.looseObject({ version: z.int(), writtenBy: z.string().optional() });

/** Throws AgentError when `content` is of a newer form than this version reads. `otherwise`: what to do but to start the newer one. */
export function refuseNewer(path: string, content: unknown, newest: number, otherwise: string): void {
  const { data } = anyForm.safeParse(content);
  if (data === undefined || data.version <= newest) return;
  const by = data.writtenBy === undefined ? '' : ` ${data.writtenBy}`;
  throw new AgentError(
    'state-unusable',
    `${path} was written by a newer weft${by} (form ${data.version}; this one reads ${newest}) and is left as it is. ` +
      `Start that version again; or ${otherwise}`,
  );
}
