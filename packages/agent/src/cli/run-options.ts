/** What `weft run` is told, read strictly. */
import { serviceNameProblem } from '@weft/proto';
import { type EgressRights, MOST_OPENED, readOpened } from '../egress/rights.ts';
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

/** Throws UsageError. */
export function readServiceName(service: string): string {
  const problem = serviceNameProblem(service);
  if (problem !== undefined) throw wrongValue('--service', problem, service);
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

/** Undefined where nothing is to be reached outside the mesh. Throws UsageError. */
export function readEgress({
  egress,
  egressTo = [],
}: Pick<RunOptions, 'egress' | 'egressTo'>): EgressRights | undefined {
  if (egressTo.length > MOST_OPENED)
    throw new UsageError(`at most ${MOST_OPENED} ranges may be opened; found ${egressTo.length}: name larger ones`);
  const opened = egressTo.map((text) => {
    const range = readOpened(text);
    if (typeof range === 'string') throw new UsageError(`--egress-to ${range}`);
    return range;
  });
  return egress === true || opened.length > 0 ? { internet: egress === true, opened } : undefined;
}

function isPort(port: number): boolean {
  return port > 0 && port < 65_536;
}
