/**
 * What changes in a network, for programs that watch it. While somebody does, the network is looked at once a second, and each
 * watcher is sent what changed since it was last sent anything. Nothing is queued for one that reads slowly: it is brought up to
 * date when it has read.
 */
import { randomBytes } from 'node:crypto';
import { entryOf } from '@weft/proto';
import type { pb } from '@weft/proto/wire';
import { requireNetwork } from '../admin/request.ts';
import { RolePlaces } from '../admin/role-places.ts';
import type { Actor } from '../audit/types.ts';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgents, fleetServices } from '../fleet/projection.ts';
import { Versions } from '../fleet/versions.ts';
import { StateError } from '../state/errors.ts';
import { onOtherNetwork } from '../state/other-network.ts';
import type { StateStore } from '../state/types.ts';
import type { Write } from './calls.ts';
import { agentStatus, networkStatus, serviceStatus } from './listings.ts';

export interface NetworkWatchOptions {
  readonly state: Pick<StateStore, 'current' | 'subscribe'>;
  readonly live: LiveAgents;
  readonly flows: { dropped(network: string): number };
}

type Answer = pb.Outgoing<pb.WatchNetworkResponse>;

const LOOK_MS = 1_000;
/** Services, or agents, of one message, and characters of them: a service may have thousands of instances. */
const MOST_OF_ONE = 500;
const MOST_TEXT = 1 << 20;

export class NetworkWatch {
  readonly #options: NetworkWatchOptions;
  /** Of networks that were ever watched, until they are removed: each keeps what it last saw, so that a watcher can resume. */
  readonly #feeds = new Map<string, Feed>();
  /** Of all networks: each holds what its reader has not taken. */
  readonly #places = new RolePlaces();

  constructor(options: NetworkWatchOptions) {
    this.#options = options;
    // Its watchers hear by their next look.
    onOtherNetwork(options.state, (name) => this.#feeds.delete(name));
  }

  /** Ends by throwing: when the signal aborts, or with StateError when the network is not there, or not any more. */
  async watch(
    network: string,
    role: Actor['role'],
    resumeToken: string,
    signal: AbortSignal,
    write: Write<pb.WatchNetworkResponse>,
  ): Promise<void> {
    const words = (most: number) =>
      `networks are watched ${most} times at once with the ${role} token, and no more; end one first`;
    await this.#places.within(
      role,
      (most) => new StateError('limit', words(most)),
      () => this.#watch(network, resumeToken, signal, write),
    );
  }

  async #watch(
    network: string,
    resumeToken: string,
    signal: AbortSignal,
    write: Write<pb.WatchNetworkResponse>,
  ): Promise<void> {
    requireNetwork(this.#options.state.current, network);
    const look = () => looked(this.#options, network);
    const feed = entryOf(this.#feeds, network, () => new Feed(look));
    const leave = feed.enter();
    try {
      let sent = feed.resumed(resumeToken);
      for (;;) {
        const { version } = feed;
        if (sent !== version) for (const answer of feed.answers(sent)) await write(answer);
        sent = version;
        await feed.after(version, signal);
        signal.throwIfAborted();
      }
    } finally {
      leave();
    }
  }
}

/** JSON texts of messages: services by name, agents by identifier. */
interface Looked {
  readonly network: ReadonlyMap<string, string>;
  readonly services: ReadonlyMap<string, string>;
  readonly agents: ReadonlyMap<string, string>;
}

/** Throws StateError. */
function looked({ state, live, flows }: NetworkWatchOptions, name: string): Looked {
  const network = requireNetwork(state.current, name);
  // Who is behind is told by each agent's own revision, and a whole fleet may be.
  const { behind: _, behindCount: _count, ...told } = networkStatus(network, live, flows.dropped(name));
  const services = fleetServices(network, live).map((one) => [one.service.name, serviceStatus(one)] as const);
  const agents = fleetAgents(network, live).map(
    (one) => [one.agent.id, steady(agentStatus(one, 0, undefined))] as const,
  );
  return { network: texts([['', told]]), services: texts(services), agents: texts(agents) };
}

/** Without what is another at each look. */
function steady(agent: pb.Outgoing<pb.Agent>): pb.Outgoing<pb.Agent> {
  const { lastSeenTime: _, behind: _behind, clockSkew: _skew, ...rest } = agent;
  return rest;
}

function texts(entries: readonly (readonly [string, object])[]): Map<string, string> {
  return new Map(entries.map(([key, value]) => [key, JSON.stringify(value)]));
}

/** From the head of the list; at least one. */
function takeSome<Entry extends { readonly text: string | undefined }>(entries: Entry[]): Entry[] {
  let length = 0;
  const end = entries.findIndex(({ text }, at) => {
    length += text?.length ?? 0;
    return at === MOST_OF_ONE || (at > 0 && length > MOST_TEXT);
  });
  return entries.splice(0, end === -1 ? entries.length : end);
}

class Feed {
  /** Names this feed, so that no other's versions are taken for its own. */
  readonly #id = randomBytes(8).toString('hex');
  readonly #look: () => Looked;
  readonly #network = new Versions();
  readonly #services = new Versions();
  readonly #agents = new Versions();
  readonly #waiting = new Set<() => void>();
  #version = 0;
  #watchers = 0;
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;

  constructor(look: () => Looked) {
    this.#look = look;
  }

  get version(): number {
    return this.#version;
  }

  /** Call what is returned at the end. Throws what looking does. */
  enter(): () => void {
    if (this.#watchers === 0) {
      this.#failure = undefined;
      this.#update();
      this.#timer = setInterval(() => this.#tick(), LOOK_MS).unref();
    }
    this.#watchers += 1;
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0) clearInterval(this.#timer);
    };
  }

  /** The version that the token is of; undefined when it is of none that what changed since can be told of. */
  resumed(token: string): number | undefined {
    const [, id, digits] = /^([0-9a-f]{16})-(\d{1,15})$/.exec(token) ?? [];
    const version = Number(digits);
    return id === this.#id && version <= this.#version && version >= this.#forgotten() ? version : undefined;
  }

  /**
   * What changed since that version, or everything, in messages of which the last has the token to resume by. Each is made when the one
   * before was taken.
   */
  *answers(since: number | undefined): Generator<Answer> {
    const token = `${this.#id}-${this.#version}`;
    const known = since !== undefined && since >= this.#forgotten() ? since : undefined;
    const [network] = this.#network.since(known);
    const services = this.#services.since(known);
    const agents = this.#agents.since(known);
    let first = true;
    do {
      const [some, others] = [takeSome(services), takeSome(agents)];
      yield {
        snapshot: first && known === undefined,
        ...(first && network?.text !== undefined ? { network: JSON.parse(network.text) as pb.Network } : {}),
        services: some.flatMap(({ text }) => (text === undefined ? [] : [JSON.parse(text) as pb.ServiceStatus])),
        removedServices: some.flatMap(({ key, text }) => (text === undefined ? [key] : [])),
        agents: others.flatMap(({ text }) => (text === undefined ? [] : [JSON.parse(text) as pb.Agent])),
        removedAgents: others.flatMap(({ key, text }) => (text === undefined ? [key] : [])),
        resumeToken: services.length + agents.length > 0 ? '' : token,
      };
      first = false;
    } while (services.length + agents.length > 0);
  }

  /** Resolves once there is another version, or the signal aborts. Rejects with what looking came to. */
  async after(version: number, signal: AbortSignal): Promise<void> {
    if (this.#version === version && this.#failure === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #tick(): void {
    const { version } = this;
    try {
      this.#update();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
    }
    if (this.#version !== version || this.#failure !== undefined) for (const wake of [...this.#waiting]) wake();
  }

  #update(): void {
    const { network, services, agents } = this.#look();
    const version = this.#version + 1;
    const changed = [
      this.#network.update(network, version),
      this.#services.update(services, version),
      this.#agents.update(agents, version),
    ];
    if (changed.includes(true)) this.#version = version;
  }

  #forgotten(): number {
    return Math.max(this.#services.forgotten, this.#agents.forgotten);
  }
}
