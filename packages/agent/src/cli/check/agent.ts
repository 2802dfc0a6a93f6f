/** Whether the agent of this host runs, is a member, and is heard; and what it says is wrong. */
import { EXPOSED_PROBLEM, isBreak, TARGET_PROBLEM } from '@weft/proto';
import { formatTime } from '../format.ts';
import { type Finding, findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const { ok, unknown, broken } = findingsOf('agent');
const problem = findingsOf('problem');

/** Told by a look of its own. */
const LOOKED_AT: ReadonlySet<string> = new Set(['membership-revoked', TARGET_PROBLEM, EXPOSED_PROBLEM]);
const JOIN = 'weft up --join-file FILE, with a token that weft token create has made';

export function lookAtAgent(known: Known): readonly Finding[] {
  const { agent, facts, unasked } = known;
  if (agent === undefined) return [notThere(known)];
  const { network, host, revision, control, state, staleSince, problems } = agent;
  const who = `${host} in network ${network}`;
  const findings: Finding[] = [];
  if (state === 'connected')
    findings.push(ok('', `${who} enforces revision ${revision}, and is connected to control at ${control.address}`));
  else if (state === 'revoked')
    findings.push(broken('', `${who}: control took the membership back`, `join again: ${JOIN}`));
  else
    findings.push(
      broken(
        '',
        `${who} goes on with revision ${revision}; it does not hear control since ${formatTime(Date.parse(staleSince ?? ''))}` +
          (control.cause === '' ? '' : `: ${control.cause}`),
        'see what is said of control here',
      ),
    );
  if (facts === undefined) findings.push(unknown('', `it does not tell of its peers and targets: ${unasked}`));
  // Of datagrams to another host only the problem tells.
  for (const { code, subject, message } of problems)
    if (!LOOKED_AT.has(code) || subject.endsWith('/udp'))
      findings.push(problem[isBreak({ code }) ? 'broken' : 'hint'](subject, `${message} (${code})`, ''));
  return findings;
}

function notThere({ directory, unasked, unread, identity }: Known): Finding {
  if (unasked !== '') return broken('', unasked, '');
  const off = `no agent runs that keeps its state in ${directory}`;
  if (unread !== '') return broken('', `${off}, and this user could start none: ${unread}`, '');
  const elsewhere = 'or name where another agent of this host keeps it by --data';
  if (identity?.membership === undefined)
    return broken('', `${off}, and no network was joined there`, `start it: ${JOIN}; ${elsewhere}`);
  const { network, host, revoked } = identity.membership;
  if (revoked) return broken('', `${off}; control took the membership of ${host} back`, `join again: ${JOIN}`);
  return broken('', `${off}, which is ${host}'s in network ${network}`, `start it: weft up; ${elsewhere}`);
}
