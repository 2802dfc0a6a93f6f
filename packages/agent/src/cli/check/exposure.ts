/** Whether others reach the programs of this host's services past Weft. */
import { existsSync } from 'node:fs';
import { EXPOSED_PROBLEM } from '@weft/proto';
import type { Finding } from './finding.ts';
import { findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const { ok, hint, unknown } = findingsOf('exposure');

/** Nothing where no agent tells, or none of its services has a program to look for. */
export function lookAtExposure({ agent, facts }: Known): readonly Finding[] {
  if (agent === undefined || facts === undefined || facts.targets.length === 0) return [];
  const exposed = agent.problems.filter(({ code }) => code === EXPOSED_PROBLEM);
  if (exposed.length === 0 && !existsSync('/proc/net/tcp'))
    return [unknown('', 'this system does not tell which programs listen where others come without Weft')];
  if (exposed.length === 0)
    return [ok('', 'where programs of its services are expected, none listens beyond loopback')];
  return exposed.map(({ message }) => hint('', message, ''));
}
