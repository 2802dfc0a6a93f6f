/** What a command is to call, as people write it. */
import { type DestinationName, parseDestination } from '@weft/proto';
import { orSentence } from '../config/schema.ts';
import { UsageError } from './errors.ts';

/** Reads SERVICE:PORT or SERVICE:PORT/udp; also `redis.internal:6379`, for people paste what programs are given. Throws UsageError. */
export function readDestination(argument: string, text: string): DestinationName {
  const destination = orSentence(() => parseDestination(text.replace(/\.internal\.?(?=:)/, '')));
  if (typeof destination === 'string') throw new UsageError(`${argument}: ${destination}`);
  return destination;
}
