/** Whether others reach the programs of this host's services past Weft. */
import { existsSync } from 'node:fs';
import { EXPOSED_PROBLEM } from '@weft/proto';
import type { Finding } from './finding.ts';
import { findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const { ok, hint, unknown } = findingsOf('exposure');

/** Nothing where no agent tells, or it runs no service. */
export function lookAtExposure({ agent }: Known): readonly Finding[] {
  if (agent === undefined || agent.instances.length === 0) return [];
  const exposed = agent.problems.filter(({ code }) => code === EXPOSED_PROBLEM);
  const findings = exposed.map(({ message }) => hint('', message, ''));
  const closed = (agent.exposed ?? []).filter((place) => place.closed).length;
  if (closed > 0) findings.push(ok('', `the guard closes ${closed} places where programs of its services listen`));
  if (findings.length === 0 && !existsSync('/proc/net/tcp'))
    return [unknown('', 'this system does not tell which programs listen where others come without Weft')];
  if (findings.length === 0)
    findings.push(ok('', 'no program that is known to be of a service listens beyond loopback'));
  const hidden = agent.exposedUnknown ?? 0;
  if (hidden > 0)
    findings.push(
      unknown(
        '',
        `${hidden === 1 ? 'a socket listens' : `${hidden} sockets listen`} beyond loopback, and this agent may not see whose; ` +
          'docs/OPERATING.md, "Several services on one host", has what lets it',
      ),
    );
  return findings;
}
