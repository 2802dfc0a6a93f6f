/**
 * Whether a flow that its destination saw through may have been denied at its source meanwhile, as the source says. A source tells of its
 * own flows alone, and could call any of them denied: so only what control itself has decided since counts.
 */
import { compilePolicy, entryOf, type FlowRecord, type Mesh, type Policy, type Source } from '@weft/proto';
import { hostSource } from '../state/may-run.ts';
import type { NetworkState, StateStore } from '../state/types.ts';

/** Meshes of a network that are remembered: a record comes within seconds, and later where its agent was away meanwhile. */
const REMEMBERED = 4;

export class LaterDenials {
  readonly #state: Pick<StateStore, 'current'>;
  /** By network, newest first: as it was last under each of its meshes before that of now. */
  readonly #before = new Map<string, readonly NetworkState[]>();
  readonly #policies = new WeakMap<Mesh, Policy>();
  readonly #tags = new WeakMap<Mesh, ReadonlyMap<string, readonly string[]>>();

  constructor(state: Pick<StateStore, 'current' | 'subscribe'>) {
    this.#state = state;
    state.subscribe((next, previous, { networks }) => {
      for (const name of networks) {
        const [is, was] = [next.networks.get(name), previous.networks.get(name)];
        if (is === undefined) this.#before.delete(name);
        else if (was !== undefined && was.mesh !== is.mesh)
          this.#before.set(name, [was, ...(this.#before.get(name) ?? [])].slice(0, REMEMBERED));
      }
    });
  }

  /**
   * Both are of one flow: its source says what denied it, and its destination, for which it was permitted, whose it was and what of; for
   * that it has looked at, and a source may write what it likes.
   */
  isSo(network: string, { rule }: FlowRecord, destination: FlowRecord): boolean {
    const now = this.#state.current.networks.get(network);
    if (now === undefined) return false;
    if (isGone(now, destination)) return true;
    // Grants change what a host's processes may be, and with that what is denied to them, without another mesh.
    if (now.revision > destination.revision && this.#denies(now, destination, rule)) return true;
    const before = this.#before.get(network) ?? [];
    return before.some((then) => then.meshRevision > destination.revision && this.#denies(then, destination, rule));
  }

  #denies(network: NetworkState, { source, sourceHost, service, port, protocol }: FlowRecord, rule: string): boolean {
    const called = network.services.get(service)?.service;
    const caller = this.#caller(network, source, sourceHost);
    if (called === undefined || caller === undefined || protocol === 'other') return false;
    const { mesh, meshRevision: revision } = network;
    const { defaultAction, policies: rules } = mesh;
    const policy = entryOf(this.#policies, mesh, () => compilePolicy({ revision, defaultAction, rules }));
    const destination = { service: called, port, protocol };
    // A record does not say of which user it was.
    return ['', null, ...policy.usersAsked(destination)].some((user) => {
      const verdict = policy.decide(caller, destination, user);
      return !verdict.allowed && verdict.rule === rule;
    });
  }

  #caller(network: NetworkState, source: string, sourceHost: string): Source | undefined {
    if (source === 'internet') return { type: 'internet' };
    if (!source.startsWith('host:')) {
      const service = network.services.get(source)?.service;
      return service && { type: 'service', service };
    }
    const agent = network.agents.get(network.hosts.get(sourceHost) ?? '');
    const { mesh } = network;
    const tags = entryOf(this.#tags, mesh, () => new Map(mesh.agents.map(({ name, tags: of }) => [name, of])));
    return agent && hostSource(network, agent, tags.get(sourceHost) ?? []);
  }
}

/** A member, a service, or its right to be there, of which any ends the flow. */
function isGone(network: NetworkState, { source, sourceHost, service, destinationHost }: FlowRecord): boolean {
  const at = (host: string) => network.agents.get(network.hosts.get(host) ?? '');
  const [caller, called] = [at(sourceHost), at(destinationHost)];
  if (caller === undefined || called === undefined || !called.services.includes(service)) return true;
  if (!network.services.has(service)) return true;
  if (source === 'internet') return !caller.roles.includes('gateway');
  return !source.startsWith('host:') && !(network.services.has(source) && caller.services.includes(source));
}
