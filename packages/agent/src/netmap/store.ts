/** The one holder of the netmap: takes control's deltas, swaps the snapshot, and tells everyone before control is told. */
import {
  type AddressRange,
  CONTROL_RANGE,
  compilePolicy,
  DENY_ALL_POLICY,
  defined,
  entryOf,
  formatAddress,
  type HostSource,
  itemKey,
  MAX_OPENED_PORTS,
  type NetmapDelta,
  type NetmapItem,
  type Service,
  sharedPorts,
  shiftAddress,
  withPublished,
} from '@weft/proto';
import type {
  EnforcementStep,
  Netmap,
  NetmapAgent,
  NetmapInstance,
  NetmapPeer,
  NetmapSelf,
  NetmapService,
  NetmapSource,
} from '../words/netmap.ts';
import type { PeerDirectory, TunnelPeer } from '../words/peer.ts';

/** Where in control's count of states a set of items stands. */
export interface Position {
  readonly timeline: string;
  readonly index: number;
  readonly revision: number;
  /** Control's proof that it told of that; left out where it gave none. */
  readonly receipt?: Uint8Array;
}

/** What was kept of an earlier run. */
export interface RestoredNetmap {
  readonly position: Position;
  readonly items: readonly NetmapItem[];
  /** As they came from control, by key. */
  readonly encoded?: ReadonlyMap<string, Uint8Array>;
}

/** Before control has spoken, and after it took the membership back. */
export const NOWHERE: Position = { timeline: '', index: 0, revision: 0 };

export type Applied =
  /**
   * `elsewhere`: settles when those that follow have enforced it too; undefined when nobody follows. `takesAway`: whether who
   * starts from what was held before might permit what is not permitted now.
   */
  | { readonly applied: true; readonly elsewhere: Promise<void> | undefined; readonly takesAway: boolean }
  | { readonly applied: false; readonly gap: string };

/** Holds the same netmap in another place. Takes each change in order; resolves when it is enforced there. */
export type NetmapFollower = (change: NetmapDelta) => Promise<void>;

type Listener = (next: Netmap, previous: Netmap) => void;

export class NetmapStore implements NetmapSource {
  readonly #range: AddressRange;
  /** By step, in their order. */
  readonly #listeners: Map<EnforcementStep, Listener | undefined>;
  readonly #followers: NetmapFollower[] = [];
  #items: ReadonlyMap<string, NetmapItem>;
  readonly #encoded: Map<string, Uint8Array>;
  #position: Position;
  #current: Netmap;
  #staleSinceMs: number | undefined;

  /** @param restored what was kept of an earlier run; `staleSinceMs` when control was last heard. */
  constructor(
    range: AddressRange,
    restored: RestoredNetmap | undefined,
    staleSinceMs: number,
    order: readonly EnforcementStep[],
  ) {
    this.#listeners = new Map(order.map((step) => [step, undefined]));
    this.#range = range;
    this.#staleSinceMs = staleSinceMs;
    this.#items = new Map((restored?.items ?? []).map((item) => [itemKey(item), item]));
    this.#encoded = new Map(restored?.encoded);
    this.#position = restored?.position ?? NOWHERE;
    this.#current = createNetmap(this.#items.values(), this.#position, range);
  }

  get current(): Netmap {
    return this.#current;
  }

  /** What is held, by key. */
  get items(): ReadonlyMap<string, NetmapItem> {
    return this.#items;
  }

  /**
   * The same as control sent it, with fields that this version does not know: digested and kept so, it is not sent again at
   * each reconnect, and a later version finds all of it. Without what stands in for an item that could not be read.
   */
  get encoded(): ReadonlyMap<string, Uint8Array> {
    return this.#encoded;
  }

  /** Where control says that it can be reached, HOST:PORT, in the order to try. */
  get controlAddresses(): readonly string[] {
    const self = this.#items.get('self');
    return self?.type === 'self' ? self.controlAddresses : [];
  }

  /** Where what is held stands. */
  get position(): Position {
    return this.#position;
  }

  get staleSinceMs(): number | undefined {
    return this.#staleSinceMs;
  }

  subscribe(step: EnforcementStep, listener: Listener): void {
    if (!this.#listeners.has(step)) throw new Error(`step ${step} has no place in the order`);
    if (this.#listeners.get(step) !== undefined) throw new Error(`step ${step} has a listener already`);
    this.#listeners.set(step, listener);
  }

  /** Changes from now on go to the follower too, which holds what is held here now. */
  follow(follower: NetmapFollower): void {
    this.#followers.push(follower);
  }

  /** Control is heard. */
  markFresh(): void {
    this.#staleSinceMs = undefined;
  }

  /** Control is not heard any more. The first moment counts. */
  markStale(nowMs: number): void {
    this.#staleSinceMs ??= nowMs;
  }

  /**
   * Applies one delta and runs every subscriber, so that when it returns the new state is enforced; it throws when one of
   * them failed, and the state must not be acknowledged. A delta that does not
   * build on what is held changes nothing and answers with the gap. `resumed` says that the delta answers an inventory
   * just sent, which it builds on whatever run of control counts now. `encoded`: its upserts as they came; who holds the
   * netmap for another, as a worker does, has none.
   */
  apply(delta: NetmapDelta, resumed: boolean, encoded?: ReadonlyMap<string, Uint8Array>): Applied {
    const held = this.#current;
    const follows = delta.timeline === held.timeline && delta.previous === held.index;
    if (!delta.snapshot && !follows && !resumed) {
      const gap = `holds ${held.index} of ${held.timeline || 'nothing'}, was sent a change of ${delta.previous} of ${delta.timeline}`;
      return { applied: false, gap };
    }
    const takesAway = mayTakeAway(delta, this.#items);
    const items = new Map(delta.snapshot ? [] : this.#items);
    for (const key of delta.removals) items.delete(key);
    for (const item of delta.upserts) items.set(itemKey(item), item);
    return { applied: true, elsewhere: this.#swap(items, delta, encoded), takesAway };
  }

  /** Forgets everything: the membership is over. Tunnels, flows and names go with it. */
  clear(): { readonly elsewhere: Promise<void> | undefined } {
    return { elsewhere: this.#swap(new Map(), EMPTY) };
  }

  #swap(
    items: ReadonlyMap<string, NetmapItem>,
    change: NetmapDelta,
    encoded?: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> | undefined {
    const previous = this.#current;
    const { timeline, index, revision, receipt } = change;
    const position = { timeline, index, revision, ...defined({ receipt }) };
    // What this throws on is not held: control, which is told what is, says it again.
    const next = createNetmap(items.values(), position, this.#range);
    this.#encode(change, encoded);
    this.#items = items;
    this.#position = position;
    this.#current = next;
    // Told first, so that they enforce it while this thread does.
    const elsewhere = this.#tellFollowers(change);
    this.#enforce(next, previous);
    return elsewhere;
  }

  #encode({ snapshot, removals, upserts }: NetmapDelta, encoded: ReadonlyMap<string, Uint8Array> | undefined): void {
    if (snapshot) this.#encoded.clear();
    for (const key of removals) this.#encoded.delete(key);
    for (const item of upserts) {
      const key = itemKey(item);
      const bytes = encoded?.get(key);
      if (bytes === undefined) this.#encoded.delete(key);
      else this.#encoded.set(key, bytes);
    }
  }

  /** Runs every subscriber again: what else they go by has changed. Throws when one of them failed. */
  enforceAgain(): void {
    this.#enforce(this.#current, this.#current);
  }

  #enforce(next: Netmap, previous: Netmap): void {
    const failures: unknown[] = [];
    for (const listener of this.#listeners.values()) {
      try {
        listener?.(next, previous);
      } catch (error) {
        // The others must still hear it: a name that fails to be served is no reason to leave a denied flow open.
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `revision ${next.revision} could not be enforced in full`);
  }

  #tellFollowers(change: NetmapDelta): Promise<void> | undefined {
    if (this.#followers.length === 0) return undefined;
    const all = Promise.all(this.#followers.map((follower) => follower(change))).then(() => {});
    // Whoever does not wait for it, because this thread failed already, is told by that.
    all.catch(() => {});
    return all;
  }
}

/** Instances come, go and change their health all day, and permit nothing by themselves. */
function mayTakeAway({ snapshot, removals, upserts }: NetmapDelta, held: ReadonlyMap<string, NetmapItem>): boolean {
  if (snapshot || removals.some((key) => held.get(key)?.type !== 'instance')) return true;
  return upserts.some((item) => item.type !== 'instance' && held.has(itemKey(item)));
}

/** A state without items. */
const EMPTY: NetmapDelta = { ...NOWHERE, previous: 0, snapshot: true, upserts: [], removals: [] };

/** Asks the newest netmap each time. Keys are looked up in a map made once for each set of peers. */
export function createPeerDirectory(source: Pick<NetmapSource, 'current'>): PeerDirectory {
  const byKey = new WeakMap<Netmap['peers'], ReadonlyMap<string, TunnelPeer>>();
  return {
    get left() {
      return source.current.self === undefined;
    },
    peerById: (agentId) => source.current.peers.get(agentId),
    peerByKey: (tunnelKey) => {
      const { peers } = source.current;
      let known = byKey.get(peers);
      if (known === undefined) {
        known = new Map(Array.from(peers.values(), (peer) => [textOf(peer.tunnelKey), peer]));
        byKey.set(peers, known);
      }
      return known.get(textOf(tunnelKey));
    },
  };
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('base64');
}

/**
 * Makes the snapshot of a set of items: addresses shifted into the agent's own range, instances under their services.
 * An instance whose service is not among the items is left out.
 */
function createNetmap(items: Iterable<NetmapItem>, position: Position, range: AddressRange): Netmap {
  const address = (allotted: number): string | undefined => {
    const shifted = allotted < CONTROL_RANGE.base ? undefined : shiftAddress(allotted, range);
    return shifted === undefined ? undefined : formatAddress(shifted);
  };
  const services = new Map<string, NetmapService & { readonly instances: NetmapInstance[] }>();
  const instances: NetmapInstance[] = [];
  const peers = new Map<string, NetmapPeer>();
  let self: NetmapSelf | undefined;
  // Without control's rules nothing passes.
  let policy = DENY_ALL_POLICY;
  for (const item of items) {
    switch (item.type) {
      case 'service':
        services.set(item.service.name, { service: item.service, address: address(item.address), instances: [] });
        break;
      case 'instance': {
        const { type: _, ...instance } = item;
        instances.push({ ...instance, address: address(item.address) });
        break;
      }
      case 'peer': {
        const { type: _, ...peer } = item;
        peers.set(item.agentId, { ...peer, address: address(item.address) });
        break;
      }
      case 'self': {
        const { type: _, controlAddresses: _where, ...own } = item;
        self = { ...own, address: address(item.address) };
        break;
      }
      case 'policy':
        policy = item;
        break;
    }
  }
  for (const instance of instances.sort((left, right) => left.ordinal - right.ordinal)) {
    const known = services.get(instance.service);
    // Listening on a port takes it from programs of this host, whoever says that it is open.
    known?.instances.push(withPublished(instance, known.service));
  }
  for (const [name, known] of services) {
    const opened = sharedPorts(
      known.instances.map((instance) => instance.opened ?? []),
      MAX_OPENED_PORTS,
    );
    if (opened.length > 0) services.set(name, { ...known, opened });
  }
  const compiled = compilePolicy({ ...policy, revision: position.revision });
  const { timeline, index, revision } = position;
  const hostSource = createHostSources(services);
  return { timeline, index, revision, self, services, peers, policy: compiled, ruleSet: policy, hostSource };
}

/** Made when first asked for: most agents of a large network never call here as their host. */
export function createHostSources(services: Netmap['services']): Netmap['hostSource'] {
  const made = new WeakMap<NetmapAgent, HostSource>();
  // Every other service is told to everybody, so one that is not known is a worker: a rule about it must not be lost.
  const worker = (name: string): Service => ({ name, kind: 'worker', ports: [], tags: [] });
  return (agent) =>
    entryOf(made, agent, () => {
      const known = agent.services.map((name) => services.get(name)?.service ?? worker(name));
      return { type: 'host', name: agent.host, tags: agent.tags, services: known };
    });
}
