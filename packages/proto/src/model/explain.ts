import type { Verdict } from '../policy/types.ts';
import type { Service } from './mesh.ts';
import { formatPortRange } from './ports.ts';

/** Where a flow would break; `not-tried`: nowhere that is known, and nobody was there to try; `other` is told by a newer control alone. */
export const BREAK_POINTS = [
  'none',
  'no-such-source',
  'no-such-name',
  'denied',
  'no-listener',
  'no-healthy-instance',
  'not-listening',
  'unreachable',
  'other',
  'not-tried',
] as const;

export type BreakPoint = (typeof BREAK_POINTS)[number];

/** The first steps of an explanation: what is called, and what is decided. */
export function verdictSteps({ name, kind, ports }: Service, { allowed, rule, revision, reason }: Verdict): string[] {
  return [
    `${name} is a ${kind} service with ports ${ports.map(formatPortRange).join(', ')}`,
    `revision ${revision} ${allowed ? 'permits' : 'denies'} it by ${rule}: ${reason}`,
  ];
}
