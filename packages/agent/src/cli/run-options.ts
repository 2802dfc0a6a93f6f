/** What `weft run` is told, read strictly. */
import { listed, parsePort, serviceNameProblem } from '@weft/proto';
import { UsageError, wrongValue } from './errors.ts';

export interface RunOptions {
  readonly service: string;
  readonly egress?: true;
  readonly egressTo?: readonly string[];
  readonly port?: readonly string[];
  readonly data?: string;
  readonly runSocket?: string;
}

/** Pairs on one line to the agent. */
const MOST_PORTS = 64;
/** Ports in a sentence. */
const NAMED = 8;

/** Throws UsageError. */
export function readServiceName(service: string): string {
  const problem = serviceNameProblem(service);
  if (problem !== undefined) throw new UsageError(`--service ${JSON.stringify(service)} names no service: ${problem}`);
  return service;
}

/** Declared port to the one where the program listens instead. Throws UsageError. */
export function readMovedPorts(pairs: readonly string[]): ReadonlyMap<number, number> {
  if (pairs.length > MOST_PORTS)
    throw new UsageError(`at most ${MOST_PORTS} ports may be given; found ${pairs.length}`);
  const ports = new Map<number, number>();
  for (const pair of pairs) {
    const [, declared = '', inside = ''] = /^(\d{1,5})=(\d{1,5})$/.exec(pair) ?? [];
    const [port, at] = [Number(declared), Number(inside)];
    if (!isPort(port) || !isPort(at)) throw wrongValue('--port', 'DECLARED=INSIDE, two ports, such as 3000=8080', pair);
    if (ports.has(port)) throw new UsageError(`--port ${port} is given twice`);
    ports.set(port, at);
  }
  return ports;
}

/** What is to be said of ports that are moved and that the service does not declare, which the mesh may do later; undefined where there are none. */
export function undeclaredWords(
  service: string,
  declared: readonly string[],
  moved: ReadonlyMap<number, number>,
): string | undefined {
  const ranges = declared.map(parsePort);
  const others = [...moved.keys()].filter((port) => !ranges.some(({ first, last }) => first <= port && port <= last));
  if (others.length === 0) return undefined;
  const has = declared.length === 0 ? 'no port' : listed(declared, NAMED);
  return `${service} declares ${has}, and not ${listed(others.map(String), NAMED)}, as --port has it: nobody calls it there until the mesh file declares that`;
}

function isPort(port: number): boolean {
  return port > 0 && port < 65_536;
}
