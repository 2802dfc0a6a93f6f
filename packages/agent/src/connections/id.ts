/** Names of flows. */
import { randomBytes } from 'node:crypto';

/** 16 hexadecimal digits at random: records of both ends carry the same, and nobody guesses another's. */
export function newFlowId(): string {
  return randomBytes(8).toString('hex');
}
