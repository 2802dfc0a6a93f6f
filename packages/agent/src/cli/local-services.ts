/** The services that the agent of this host knows, for commands that need no control. */
import { type DestinationName, formatPortRange, includesPort, type PortRange, parsePort } from '@weft/proto';
import type { AgentStatus } from '../observe/agent-status.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { CommandError } from './errors.ts';
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
    const known = here.length === 0 ? 'none yet' : here.map((other) => other.service).join(', ');
    throw new CommandError(
      'no-such-service',
      `network ${agent.network} has no web or private service ${service} that this host knows of; it knows ${known}`,
    );
  }
  const { address } = found;
  if (address !== null) return { ...found, address };
  throw new CommandError(
    'no-address',
    `${service} has no address on this host: the range of its agent is too small; start it with a wider --vip-range`,
  );
}

/** Address of a service that declares the port. Throws CommandError, `denied` where it does not. */
export function addressHere(agent: AgentStatus, { service, port, protocol }: DestinationName): string {
  const { address, ports } = findHere(agent, service);
  if (includesPort(ports, port, protocol)) return address;
  const declared = ports.length === 0 ? 'no port' : ports.map(formatPortRange).join(', ');
  const asked = formatPortRange({ protocol, first: port, last: port });
  throw new CommandError(
    'denied',
    `denied by builtin:undeclared-port at revision ${agent.revision}: ${service} declares ${declared}, and not ${asked}`,
  );
}
