/** Calls of one sandbox that leave the mesh: who calls, whether it may, and what is open. */
import {
  type AddressRange,
  formatHostPort,
  type HostPort,
  hostInterfaces,
  isShortage,
  type Protocol,
  parseAddress,
} from '@weft/proto';
import type { Logger } from 'pino';
import { isLocalAddress } from '../bytes/address-watch.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import { systemWords } from '../bytes/system-words.ts';
import type { Flow } from '../flows/flow.ts';
import type { Outside } from '../flows/judge.ts';
import { type ClassedRange, rangesAround } from './address-classes.ts';
import { type EgressRights, mayReach, type OutsideVerdict } from './rights.ts';

export interface OutsideCall {
  readonly port: number;
  readonly protocol: Protocol;
}

export interface OutsideCallsOptions {
  /** Registers a call of the sandbox's service; undefined where it is refused, and recorded. `full`: why there is no room for it, if so. */
  readonly admit: (call: OutsideCall, outside: Outside, full?: string) => Flow | undefined;
  readonly rights: EgressRights;
  /** Where this host's VIPs lie. */
  readonly vips: AddressRange;
  readonly files: OpenFiles;
  readonly log: Pick<Logger, 'error'>;
  readonly interfaces?: typeof hostInterfaces;
  /** Whether an address is this host's own, by its kernel; undefined where it could not be asked. */
  readonly isOwn?: (address: string) => boolean | undefined;
}

export class OutsideCalls {
  readonly files: OpenFiles;
  readonly #options: OutsideCallsOptions;
  readonly #interfaces: typeof hostInterfaces;
  readonly #isOwn: (address: string) => boolean | undefined;
  #unfit: boolean = false;
  #seen: ReturnType<typeof hostInterfaces>;
  #around: readonly ClassedRange[] | undefined;

  constructor(options: OutsideCallsOptions) {
    this.#options = options;
    this.files = options.files;
    this.#interfaces = options.interfaces ?? hostInterfaces;
    this.#isOwn = options.isOwn ?? isLocalAddress;
  }

  /** Admitted, or undefined: then it is recorded. `full`: why there is no room for it, if so. */
  open(protocol: Protocol, called: HostPort, full?: string): Flow | undefined {
    // The kernel is asked once a call: it knows of routes that make a whole range this host's own.
    const own = this.#ownAddress(called);
    const outside = {
      address: formatHostPort(called.host, called.port),
      decide: () => own ?? this.#decide(protocol, called),
    };
    return this.#options.admit({ port: called.port, protocol }, outside, full);
  }

  /** Its place out there could not be reached. */
  failed(flow: Flow, cause: unknown): void {
    if (isShortage(cause)) this.files.ranOut();
    const { code } = cause as NodeJS.ErrnoException;
    const outcome = isShortage(cause) ? 'overloaded' : code === 'ECONNREFUSED' ? 'not-listening' : 'unreachable';
    flow.end(outcome, systemWords(cause));
  }

  /** A socket for datagrams could not be taken over. Told once: it is so of all. */
  unfit(): void {
    if (this.#unfit) return;
    this.#unfit = true;
    this.#options.log.error(
      { event: 'egress-unfit' },
      'this Node does not take over sockets for datagrams as it should',
    );
  }

  #decide(protocol: Protocol, { host: address, port }: HostPort): OutsideVerdict {
    const number = parseAddress(address);
    if (number === undefined) return { allowed: false, reason: `${address} is not IPv4, which alone goes out` };
    return mayReach(this.#options.rights, { address: number, port, protocol }, this.#rangesNow());
  }

  #ownAddress({ host: address }: HostPort): OutsideVerdict | undefined {
    if (parseAddress(address) === undefined) return undefined;
    const own = this.#isOwn(address);
    if (own === false) return undefined;
    const reason =
      own === true
        ? `${address} is this host itself, which no sandbox reaches`
        : `whether ${address} is this host itself could not be asked of the kernel`;
    return { allowed: false, reason };
  }

  /** Worked out again only where an interface has changed. */
  #rangesNow(): readonly ClassedRange[] {
    const interfaces = this.#interfaces();
    if (this.#around === undefined || interfaces !== this.#seen) {
      this.#seen = interfaces;
      this.#around = rangesAround({ vips: this.#options.vips, interfaces });
    }
    return this.#around;
  }
}
