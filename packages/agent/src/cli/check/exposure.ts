/** Whether others reach the programs of this host's services past Weft. */
import { EXPOSED_PROBLEM } from '@weft/proto';
import type { Finding } from './finding.ts';
import { findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const { ok, hint } = findingsOf('exposure');

/** Nothing where no agent tells, or none of its services has a program to look for. */
export function lookAtExposure({ agent, facts }: Known): readonly Finding[] {
  if (agent === undefined || facts === undefined || facts.targets.length === 0) return [];
  const exposed = agent.problems.filter(({ code }) => code === EXPOSED_PROBLEM);
  if (exposed.length === 0) return [ok('', 'no program of its services listens where others come without Weft')];
  return exposed.map(({ message }) => hint('', message, ''));
}
