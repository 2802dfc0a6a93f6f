/** Identify and decide, at the source: from a listener that was called to a flow with a permit. */
import { defined } from '@weft/proto';
import { newFlowId } from '../flows/id.ts';
import type { FlowRefusal, FlowRegistry } from '../flows/registry.ts';
import { claimName, type DeclaredHere, localCaller, localClaim } from '../flows/source.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { SourceClaim } from '../words/opening.ts';
import type { Call } from './call.ts';
import type { OutboundFlow } from './forward.ts';

export type Admitted =
  | { readonly admitted: true; readonly out: OutboundFlow }
  /** Already recorded. */
  | { readonly admitted: false; readonly refusal: FlowRefusal };

export interface AdmitterOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly declared: DeclaredHere;
}

export class Admitter {
  readonly #options: AdmitterOptions;

  constructor(options: AdmitterOptions) {
    this.#options = options;
  }

  /** A call by a program of this host. `full` says why there is no room for it, if so. */
  local(call: Call, full?: string): Admitted {
    const { netmap, declared } = this.#options;
    return this.#admit(call, localClaim(netmap.current, declared), full);
  }

  /** A call from the internet through this host's gateway. */
  internet(call: Call, clientAddress: string): Admitted {
    return this.#admit(call, { type: 'internet', address: clientAddress });
  }

  #admit(call: Call, claim: SourceClaim, full?: string): Admitted {
    const { netmap, registry, declared } = this.#options;
    const host = netmap.current.self?.host ?? '';
    const { service, port, protocol, ordinal } = call;
    const admission = registry.open({
      id: newFlowId(),
      protocol,
      service,
      port,
      claimed: { source: claimName(claim, host), host },
      identify: (current) => localCaller(current, declared, claim),
      ...defined({ full }),
    });
    if (!admission.admitted) return admission;
    const { flow, permit, caller } = admission;
    return { admitted: true, out: { flow, permit, caller, claim, ordinal } };
  }
}
