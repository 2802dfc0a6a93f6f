/** A state that is kept in memory, with clocks that a test sets, and what is asked of it again and again. */
import { randomFillSync } from 'node:crypto';
import { CONTROL_RANGE, type Mesh, type Service } from '@weft/proto';
import { Store } from '../store/store.ts';
import { openState } from './state.ts';
import type { AgentState, NetworkState, StateStore, TokenScope } from './types.ts';

export const randomBytes = (length: number): Uint8Array => randomFillSync(new Uint8Array(length));

export const tcp = (port: number): Service['ports'][number] => ({ protocol: 'tcp', first: port, last: port });
export const redis: Service = { name: 'redis', kind: 'private', ports: [tcp(6379)], tags: [] };
export const web: Service = {
  name: 'web',
  kind: 'web',
  ports: [tcp(3000)],
  public: { port: 3000, hosts: ['a.example'] },
  tags: [],
};
export const mailer: Service = { name: 'mailer', kind: 'worker', ports: [], tags: [] };

export function mesh(services: Service[], rest: Partial<Mesh> = {}): Mesh {
  return { network: 'prod', services, defaultAction: 'allow', policies: [], agents: [], tests: [], ...rest };
}

export function scope(rest: Partial<TokenScope> = {}): TokenScope {
  return { network: 'prod', services: [], host: '', roles: [], reusable: true, ephemeral: false, ...rest };
}

export class StateBench {
  clock = 1_700_000_000_000;
  /** How far the host's clock is off. */
  turnedMs = 0;
  readonly store = Store.inMemory();
  readonly now = (): number => this.clock + this.turnedMs;
  #state: StateStore | undefined;

  static async open(): Promise<StateBench> {
    const bench = new StateBench();
    await bench.reopen();
    return bench;
  }

  get state(): StateStore {
    if (this.#state === undefined) throw new Error('not open');
    return this.#state;
  }

  /** What another start reads from the same disk. */
  openAgain(): Promise<StateStore> {
    return openState({ store: this.store, now: this.now, steady: () => this.clock - 1_600_000_000_000.5 });
  }

  async reopen(): Promise<void> {
    this.#state = await this.openAgain();
  }

  apply(next: Mesh) {
    return this.state.apply(next, { dryRun: false, actor: 'control' });
  }

  async join(host: string, services: string[], rest: Partial<TokenScope> = {}): Promise<AgentState> {
    const token = await this.state.createToken(scope({ services, ...rest }), randomBytes(32), 1_000, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32) };
    return (await this.state.join({ token, host, ...keys, version: '1' })).agent;
  }

  network(name = 'prod'): NetworkState {
    const found = this.state.current.networks.get(name);
    if (found === undefined) throw new Error(`no network ${name}`);
    return found;
  }

  vip(service: string): number {
    return (this.network().services.get(service)?.address ?? 0) - CONTROL_RANGE.base;
  }
}
