/** The services that the agent of this host knows, for commands that need no control. */
import { type DestinationName, formatPortRange, includesPort, listed, type PortRange, parsePort } from '@weft/proto';
import { didYouMean } from '../config/suggest.ts';
import type { AgentStatus } from '../observe/agent-status.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { CommandError } from './errors.ts';
import { formatTime } from './format.ts';
import { noAgent } from './local-agent.ts';
import { defaultDirectory } from './paths.ts';
import type { Terminal } from './terminal.ts';

export interface LocalOptions {
  /** The agent's directory. */
  readonly data?: string;
}

/** Throws CommandError, and StatusSocketError where an agent runs that cannot be asked. */
export async function localStatus({ data }: LocalOptions, { env }: Pick<Terminal, 'env'>): Promise<AgentStatus> {
  const directory = data ?? defaultDirectory('weft', env);
  const agent = await readLocalStatus(directory);
  if (agent === undefined) throw noAgent(directory);
  return agent;
}

/** A web or private service that this host reaches by an address of its own. */
export interface ServiceHere {
  readonly service: string;
  /** VIP; null when the agent's range is too small for it. */
  readonly address: string | null;
  readonly ports: readonly PortRange[];
}

export function servicesHere({ names }: AgentStatus): ServiceHere[] {
  return names.map(({ name, address, ports }) => ({
    service: name.replace(/\.internal$/, ''),
    address,
    ports: ports.map(parsePort),
  }));
}

/** Where this host's programs call a service. Throws CommandError. */
export function findHere(agent: AgentStatus, service: string): ServiceHere & { readonly address: string } {
  const here = servicesHere(agent);
  const found = here.find((other) => other.service === service);
  if (found === undefined) {
    const names = here.map((other) => other.service);
    const known = names.length === 0 ? 'none yet' : listed(names, MOST_NAMES);
    throw new CommandError(
      'no-such-service',
      `network ${agent.network} has no web or private service ${service} that this host knows of, and a worker is called by nobody; it knows ${known}${didYouMean(service, names)}${unheard(agent)}`,
    );
  }
  const { address } = found;
  if (address !== null) return { ...found, address };
  throw new CommandError(
    'no-address',
    `${service} has no address on this host: the range of its agent is too small; start it with a wider --vip-range`,
  );
}

/** In a sentence; a network may have thousands. */
const MOST_NAMES = 10;

/** What may have come since is told of, and is not known. */
function unheard({ state, staleSince }: AgentStatus): string {
  if (state === 'revoked') return '; control took the membership of this host back';
  if (state === 'connected') return '';
  return `; it does not hear control since ${formatTime(Date.parse(staleSince ?? ''))}, and knows nothing newer`;
}

/** Address of a service that has the port. Throws CommandError: `denied` where it is not declared, `not-listening` where none of its programs has opened it. */
export function addressHere(agent: AgentStatus, { service, port, protocol }: DestinationName): string {
  const { address, ports } = findHere(agent, service);
  if (includesPort(ports, port, protocol)) return address;
  const declared = ports.length === 0 ? 'no port' : listed(ports.map(formatPortRange), MOST_NAMES);
  // There no port is undeclared, and nobody has denied anything.
  if (agent.names.some(({ name, opened }) => name === `${service}.internal` && opened !== undefined))
    throw new CommandError(
      'not-listening',
      `no program of ${service} listens at port ${port}/${protocol} now; it has ports: auto, and ${declared} at this time${unheard(agent)}`,
    );
  const other = protocol === 'tcp' ? 'udp' : 'tcp';
  const meant = formatPortRange({ protocol: other, first: port, last: port });
  const hint = includesPort(ports, port, other) ? `; did you mean ${service}:${meant}?` : unheard(agent);
  throw new CommandError(
    'denied',
    `denied by builtin:undeclared-port at revision ${agent.revision}: ${service} declares ${declared}, and not ${port}/${protocol}${hint}`,
  );
}
