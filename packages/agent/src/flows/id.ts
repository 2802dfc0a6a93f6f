/** Names of flows. */
import { randomUUID } from 'node:crypto';

/**
 * 16 hexadecimal digits at random: records of both ends carry the same, and nobody guesses another's. Cut from a UUID's
 * random parts, because Node draws the randomness of many of those at once, and asking the system for each costs more than
 * the rest of a flow's admission.
 */
export function newFlowId(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(24, 32);
}
