/** Which programs that are shut in serve what: calls go to those of one service in turn. */
import { includesPort, type PortRange, type Protocol, type ReportedSandbox, unitedPorts } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import { closeHandle } from '../bytes/handle.ts';
import { handedConduit } from '../bytes/socket.ts';
import type { Inside } from '../inbound/inside.ts';
import { handedDatagrams } from '../inbound/target-datagrams.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { PROGRAM_HOST } from './link.ts';
import { socketOf } from './listeners.ts';
import type { SandboxSockets, SocketWanted } from './sockets.ts';

/** One that may serve. */
export interface Serving {
  readonly service: string;
  readonly sockets: Pick<SandboxSockets, 'ask'>;
  /** What ends each call that is open to its program. */
  readonly calls: Set<() => void>;
  /** Ports of the service that its program listens on, one a range, but for those that programs take to call others. */
  readonly opened: readonly PortRange[];
  readonly reported: ReportedSandbox;
  /** Where its program listens for the service's port: by loopback, if it is there. */
  placeOf(port: number, protocol: Protocol): ServingPlace | undefined;
}

export interface ServingPlace {
  /** As the program sees it. `::1` where it is on that alone; nobody can then be told apart by address. */
  readonly host: '127.0.0.1' | typeof PROGRAM_HOST | '::1';
  readonly port: number;
}

export class InsidePrograms implements Inside {
  readonly #serving = new Map<string, Serving[]>();
  readonly #listeners: (() => void)[] = [];
  #turn = 0;

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  enter(serving: Serving): void {
    this.#serving.set(serving.service, [...(this.#serving.get(serving.service) ?? []), serving]);
    this.changed();
  }

  leave(serving: Serving): void {
    const left = (this.#serving.get(serving.service) ?? []).filter((each) => each !== serving);
    if (left.length === 0) this.#serving.delete(serving.service);
    else this.#serving.set(serving.service, left);
    this.changed();
  }

  /** All that are shut in. */
  get reported(): readonly ReportedSandbox[] {
    return [...this.#serving.values()].flatMap((all) => all.map(({ reported }) => reported));
  }

  /** Whether one of them may be called. */
  get called(): boolean {
    return this.reported.some(({ ports }) => ports.length > 0);
  }

  /** One of them listens on something else than before. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  listens(service: string, port: number, protocol: Protocol): boolean {
    return this.#serving.get(service)?.some((each) => each.placeOf(port, protocol) !== undefined) === true;
  }

  serves(service: string): boolean {
    return this.#serving.has(service);
  }

  opened(service: string, declared: readonly PortRange[]): readonly PortRange[] {
    const all = (this.#serving.get(service) ?? []).flatMap(({ opened }) => opened);
    return unitedPorts(all.filter(({ protocol, first }) => !includesPort(declared, first, protocol)));
  }

  stream(service: string, port: number, localAddress: string, deadline: Deadline): Promise<Conduit> {
    return this.#each(service, port, 'tcp', async (serving, place) => {
      const handle = await within(serving.sockets.ask(dialled('tcp', place, localAddress)), deadline);
      const held = new Held(serving);
      const conduit = handedConduit(handle, held.end);
      held.begin(() => conduit.reset());
      return conduit;
    });
  }

  datagrams(
    service: string,
    port: number,
    localAddress: string,
    deadline: Deadline,
    refused: () => void,
  ): Promise<DatagramConduit> {
    return this.#each(service, port, 'udp', async (serving, place) => {
      const handle = await within(serving.sockets.ask(dialled('udp-to', place, localAddress)), deadline);
      const socket = await socketOf(handle);
      const held = new Held(serving);
      socket.once('close', held.end);
      // Registered before it is there: who may not serve any more in this moment has it cut as soon as it is.
      let conduit: DatagramConduit | undefined;
      let cut = false;
      held.begin(() => {
        cut = true;
        conduit?.close();
      });
      conduit = await handedDatagrams(socket, place, refused);
      if (!cut) return conduit;
      conduit.close();
      throw Object.assign(new Error('the program may not serve any more'), { code: 'ECONNRESET' });
    });
  }

  /** Each that listens there once, beginning where it is its turn. Rejects with what the last said. */
  async #each<C>(
    service: string,
    port: number,
    protocol: Protocol,
    open: (serving: Serving, place: ServingPlace) => Promise<C>,
  ): Promise<C> {
    const all = (this.#serving.get(service) ?? []).flatMap((serving) => {
      const place = serving.placeOf(port, protocol);
      return place === undefined ? [] : [{ serving, place }];
    });
    const first = this.#turn++ % Math.max(1, all.length);
    let cause: unknown = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED', errno: -111 });
    for (const { serving, place } of [...all.slice(first), ...all.slice(0, first)]) {
      try {
        return await open(serving, place);
      } catch (error) {
        cause = error;
      }
    }
    throw cause;
  }
}

/** What is open to a program, to be cut when that may not serve any more. */
class Held {
  readonly #calls: Serving['calls'];
  #cut: (() => void) | undefined;

  constructor({ calls }: Serving) {
    this.#calls = calls;
  }

  begin(cut: () => void): void {
    this.#cut = cut;
    this.#calls.add(cut);
  }

  readonly end = (): void => {
    if (this.#cut !== undefined) this.#calls.delete(this.#cut);
  };
}

function dialled(kind: 'tcp' | 'udp-to', { host, port }: ServingPlace, localAddress: string): SocketWanted {
  // Of ::1 the program's side alone knows, and no address of a caller.
  if (host === '::1') return { where: 'program', kind, host, port };
  return { where: 'agent', kind, host, port, from: { host: localAddress, port: 0 } };
}

/** What comes after the deadline is closed. */
async function within(asked: Promise<object>, deadline: Deadline): Promise<object> {
  try {
    return await deadline.race(asked);
  } catch (cause) {
    asked.then(closeHandle, () => {});
    throw cause;
  }
}
