/** That control's data is an older copy than the one that agents were told from, in words. */
import { type Act, CONTROL, listed } from '../audit/entry.ts';
import type { OlderData } from './types.ts';

/** What is wrong, and what to do. `known` is the newest revision of the data. */
export function tellOlder(found: OlderData, known: number): string {
  return (
    `control's data is older than what agents heard from it (${listed(found.hosts, 'host')}): ` +
    `they know of ${heardOf(found, known)}, control of ${known}. Restore a newer copy, or start weft-control serve with --accept-older-data to go on from this one`
  );
}

/** Beside the difference that a change would make: of what is said there, what it is worth. */
export function differenceOfOlder(found: OlderData, known: number): string {
  return `${tellOlder(found, known)}. What is told here would change what it holds; agents go on by what they heard, so that what they enforce, and who gains or loses by this, may be another`;
}

export function olderDataFound(found: OlderData, known: number): Act {
  const heard = `${listed(found.hosts, 'host')} heard of ${heardOf(found, known)}`;
  const detail = `control is at revision ${known}, and ${heard}; no agent is served`;
  return { actor: CONTROL, action: 'older-data-find', subject: `revision ${found.revision}`, detail };
}

/** The number alone would say nothing where control has come as far by other changes. */
function heardOf({ revision }: OlderData, known: number): string {
  return revision > known ? `revision ${revision}` : `changes up to revision ${revision} that it does not hold`;
}

/** Control was started with the flag. */
export function olderDataAccepted(known: number): Act {
  const detail = 'started with --accept-older-data: what agents heard beside this data, or hear of yet, is given up';
  return { actor: CONTROL, action: 'older-data-accept', subject: `revision ${known}`, detail };
}

/** `heard` is the revision that the host knew of, and control's data did not. */
export function olderDataGivenUp(host: string, heard: number): Act {
  const detail = `numbers go on above ${heard}, which agent ${host} had heard of`;
  return { actor: CONTROL, action: 'older-data-give-up', subject: `revision ${heard}`, detail };
}
