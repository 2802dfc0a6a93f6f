/** Whether the programs of this host's services answer where the agent calls them. */
import { formatPortRange, isLoopback, parseHostPort } from '@weft/proto';
import { IN_SANDBOX, type TargetFacts } from '../../observe/host-facts.ts';
import { type Finding, findingsOf } from './finding.ts';
import { type Known, whySilent } from './known.ts';

const { ok, unknown, broken } = findingsOf('target');

export function lookAtTargets(known: Known): readonly Finding[] {
  const { facts } = known;
  if (facts === undefined)
    return [unknown('', `not looked at: the agent knows where programs are expected, and ${whySilent(known)}`)];
  return facts.targets.map(lookAtTarget);
}

function lookAtTarget({ service, ports, tried }: TargetFacts): Finding {
  const subject = `${service} ${formatPortRange(ports)}`;
  const span = ports.last - ports.first;
  const at = (address: string) => (span === 0 ? address : `${address} and the ${span} after it`);
  const last = tried.at(-1);
  if (last?.address === IN_SANDBOX)
    return last.error === ''
      ? ok(subject, `a program listens ${IN_SANDBOX}`)
      : broken(
          subject,
          `${IN_SANDBOX}: ${last.error}`,
          `let the program there listen, or say where it does: weft run --port ${ports.first}=INSIDE`,
        );
  if (last?.error === '' && ports.protocol === 'udp' && !isLoopback(parseHostPort(last.address)?.host ?? ''))
    return unknown(subject, `${at(last.address)}: whether another host takes datagrams shows only when it is called`);
  if (last?.error === '') return ok(subject, `a program answers at ${at(last.address)}`);
  return broken(
    subject,
    tried.map(({ address, error }) => `${at(address)}: ${error}`).join(', '),
    remedyOf(ports.first, tried.find(({ other }) => other !== undefined)?.other),
  );
}

/** `other`: whose program listens where the service's should. */
function remedyOf(port: number, other: string | undefined): string {
  return other === undefined
    ? `start the program, or say in the agent file where it listens: targets: { ${port}: "HOST:PORT" }`
    : `end that program, and start the service's, or, where it is right, let the agent file say match: { user: ${other} }`;
}
