/** Whether a program answers, tried now by a connection: for who asks why a service is not served, and for probes. */
import { connect } from 'node:net';
import { formatHostPort, isShortage, type Protocol } from '@weft/proto';
import { systemWords } from '../bytes/system-words.ts';
import type { TargetAddress } from './addresses.ts';
import { anothers } from './wrong-target.ts';

const TIMEOUT_MS = 2_000;

export interface Refusal {
  /** In words. */
  readonly cause: string;
  /** This process may open no more sockets, which says nothing of the program. */
  readonly shortage: boolean;
}

/** Undefined when a connection came about. */
export function tryTarget({ host, port }: TargetAddress, signal?: AbortSignal): Promise<Refusal | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(signal && { signal }) });
    const settle = (refusal: Refusal | undefined) => {
      // An orderly end would leave the program a connection to say goodbye on; it asked for none.
      if (refusal === undefined) socket.resetAndDestroy();
      else socket.destroy();
      resolve(refusal);
    };
    const late = { cause: `no answer within ${TIMEOUT_MS / 1_000} s`, shortage: false };
    socket.setTimeout(TIMEOUT_MS, () => settle(late));
    socket.on('connect', () => settle(undefined));
    socket.on('error', (cause) => settle({ cause: systemWords(cause), shortage: isShortage(cause) }));
  });
}

export interface TargetTry {
  /** HOST:PORT. */
  readonly address: string;
  /** Why it is no use; empty where a program answered. */
  readonly error: string;
  /** Whose program listens there, where that is another than `match` names. */
  readonly other?: string;
}

/** What is known of targets without a call. */
interface Watched {
  answers(target: TargetAddress, protocol: Protocol): boolean;
  other(service: string, target: TargetAddress, protocol: Protocol): string | undefined;
}

/**
 * The targets of one port in their order, up to the first that answers, but for those where no call goes. Of UDP, where a datagram that is not answered says nothing,
 * it is asked what is known. `late`: why no connection is tried, if so.
 */
export async function tryTargets(
  service: string,
  targets: readonly TargetAddress[],
  protocol: Protocol,
  watched: Watched,
  late?: string,
): Promise<TargetTry[]> {
  const tried: TargetTry[] = [];
  for (const target of targets) {
    const address = formatHostPort(target.host, target.port);
    const other = watched.other(service, target, protocol);
    if (other !== undefined) {
      tried.push({ address, error: anothers(other), other });
      continue;
    }
    const heard = protocol === 'udp' ? watched.answers(target, protocol) : undefined;
    const error =
      heard === undefined ? (late ?? (await tryTarget(target))?.cause ?? '') : heard ? '' : 'no program listens';
    tried.push({ address, error });
    if (error === '') break;
  }
  return tried;
}
