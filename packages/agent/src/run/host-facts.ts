/** What the agent tells a command that checks its host, looked up and tried at the moment of the question. */
import { defined, eachPort, filesFor, type PortRange, type Protocol } from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { runsHere } from '../flows/judge.ts';
import { targetsOf } from '../inbound/addresses.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import { type TargetTry, tryTargets } from '../inbound/try-target.ts';
import { runningOn } from '../netmap/running-on.ts';
import { type HostFacts, IN_SANDBOX, type PeerFacts, type TargetFacts } from '../observe/host-facts.ts';
import { processFacts } from '../observe/process-facts.ts';
import { listenerSpecs } from '../outbound/listener-spec.ts';
import type { Netmap, NetmapPeer } from '../words/netmap.ts';

export interface HostFactsParts {
  readonly netmap: Netmap;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly targets: Pick<TargetWatch, 'answers' | 'other' | 'inSandbox'>;
  readonly threads: number;
}

/** Programs that are tried at once. */
const AT_ONCE = 16;
/** Programs that answer nothing take long, and who asks does not wait for ever. */
const TRIES_MS = 15_000;

export async function hostFacts(parts: HostFactsParts): Promise<HostFacts> {
  const { netmap, threads } = parts;
  return {
    process: processFacts(),
    filesNeeded: filesFor(listenerSpecs(netmap).size * threads),
    peers: [...netmap.peers.values()].map((peer) => peerFacts(netmap, peer)),
    targets: await tryAll(parts),
  };
}

function peerFacts(netmap: Netmap, { agentId, host }: NetmapPeer): PeerFacts {
  const { runs, heard: up } = runningOn(netmap, agentId);
  return { host, runs, ...defined({ up }) };
}

interface Declared {
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly here: AgentService;
}

async function tryAll({ netmap, services, targets }: HostFactsParts): Promise<readonly TargetFacts[]> {
  const declared = [...services.values()].flatMap((here): Declared[] => {
    const service = runsHere(netmap, services, here.name)?.service;
    if (service === undefined || service.kind === 'worker') return [];
    return Array.from(eachPort(service.ports), ({ port, protocol }) => ({ service: here.name, port, protocol, here }));
  });
  const found: (readonly TargetTry[])[] = [];
  const until = performance.now() + TRIES_MS;
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < declared.length; at = next++) {
      const one = declared[at];
      if (one === undefined) continue;
      const late = performance.now() < until ? undefined : LATE;
      const { service, here, port, protocol } = one;
      const inside = targets.inSandbox(service, port, protocol);
      if (inside || here.shutIn === true)
        found[at] = [{ address: IN_SANDBOX, error: inside ? '' : 'no program listens' }];
      else found[at] = await tryTargets(service, targetsOf(here, port, protocol), protocol, targets, late);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return declared.reduce<TargetFacts[]>((told, { service, port, protocol }, at) => {
    const tried = found[at] ?? [];
    const last = told.at(-1);
    if (last?.service === service && continues(last, port, protocol, tried))
      told[told.length - 1] = { ...last, ports: { ...last.ports, last: port } };
    else told.push({ service, ports: { protocol, first: port, last: port }, tried });
    return told;
  }, []);
}

const LATE = 'not tried, as those before it took too long';

function continues(
  { ports, tried }: TargetFacts,
  port: number,
  protocol: Protocol,
  now: readonly TargetTry[],
): boolean {
  return isNext(ports, port, protocol) && shape(tried, ports.first) === shape(now, port);
}

function isNext(ports: PortRange, port: number, protocol: Protocol): boolean {
  return ports.protocol === protocol && ports.last + 1 === port;
}

/** The same for ports that are served side by side and came to the same. */
function shape(tried: readonly TargetTry[], port: number): string {
  return JSON.stringify(
    tried.map(({ address, error }) => {
      const at = address.lastIndexOf(':');
      return [address.slice(0, at), Number(address.slice(at + 1)) - port, error];
    }),
  );
}
