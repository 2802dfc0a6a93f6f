/** Calls of one sandbox that leave the mesh: who calls, whether it may, and what is open. */
import { type AddressRange, formatHostPort, hostInterfaces, type Protocol, parseAddress } from '@weft/proto';
import { isLocalAddress } from '../bytes/address-watch.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { Called } from '../bytes/socket-listen.ts';
import { type Flow, newFlowId } from '../flows/flow.ts';
import type { FlowRequest } from '../flows/judge.ts';
import type { FlowRegistry } from '../flows/registry.ts';
import { type ClassedRange, rangesAround } from './address-classes.ts';
import { type EgressRights, mayReach, type OutsideVerdict } from './rights.ts';

/** What stands in records for all that is no service. */
export const INTERNET = 'internet';

export interface OutsideCallsOptions {
  readonly registry: Pick<FlowRegistry, 'openOutside'>;
  /** Who calls, which is certain. */
  readonly caller: Pick<FlowRequest, 'claimed' | 'identify'>;
  readonly rights: EgressRights;
  /** Where this host's VIPs lie. */
  readonly vips: AddressRange;
  readonly files: OpenFiles;
  readonly interfaces?: typeof hostInterfaces;
  /** Whether an address is this host's own, by its kernel; undefined where it could not be asked. */
  readonly isOwn?: (address: string) => boolean | undefined;
}

export class OutsideCalls {
  readonly files: OpenFiles;
  readonly #options: OutsideCallsOptions;
  readonly #interfaces: typeof hostInterfaces;
  readonly #isOwn: (address: string) => boolean | undefined;
  #seen: ReturnType<typeof hostInterfaces>;
  #around: readonly ClassedRange[] | undefined;

  constructor(options: OutsideCallsOptions) {
    this.#options = options;
    this.files = options.files;
    this.#interfaces = options.interfaces ?? hostInterfaces;
    this.#isOwn = options.isOwn ?? isLocalAddress;
  }

  /** Admitted, or undefined: then it is recorded. `full`: why there is no room for it, if so. */
  open(protocol: Protocol, called: Called, full?: string): Flow | undefined {
    const { registry, caller } = this.#options;
    // The kernel is asked once a call: it knows of routes that make a whole range this host's own.
    const own = this.#ownAddress(called);
    const admission = registry.openOutside({
      id: newFlowId(),
      protocol,
      service: INTERNET,
      port: called.port,
      claimed: caller.claimed,
      identify: caller.identify,
      ...(full === undefined ? {} : { full }),
      outside: {
        address: formatHostPort(called.address, called.port),
        decide: () => own ?? this.#decide(protocol, called),
      },
    });
    return admission.admitted ? admission.flow : undefined;
  }

  #decide(protocol: Protocol, { address, port }: Called): OutsideVerdict {
    const number = parseAddress(address);
    if (number === undefined) return { allowed: false, reason: `${address} is not IPv4, which alone goes out` };
    return mayReach(this.#options.rights, { address: number, port, protocol }, this.#rangesNow());
  }

  #ownAddress({ address }: Called): OutsideVerdict | undefined {
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
