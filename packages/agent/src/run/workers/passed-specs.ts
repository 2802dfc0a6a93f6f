/** Where a connection came to that is passed to another thread, in the text that goes with it. */
import type { ListenerSpec } from '../../outbound/listener-spec.ts';

/** To the tunnels' port. */
export const TO_TUNNELS = 'tunnels';

export function textOf(spec: ListenerSpec): string {
  return JSON.stringify(spec);
}

/** One object a listener while the netmap is the same: what a verdict there depends on is kept by it. */
export class PassedSpecs {
  readonly #specs = new Map<string, ListenerSpec>();

  of(text: string): ListenerSpec {
    const known = this.#specs.get(text);
    if (known !== undefined) return known;
    const spec = JSON.parse(text) as ListenerSpec;
    this.#specs.set(text, spec);
    return spec;
  }

  clear(): void {
    this.#specs.clear();
  }
}
