/** What a network is, kept up to date. */
import { setTimeout } from 'node:timers/promises';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Admin } from './connect.ts';
import type { Agent, Network, ServiceStatus, WatchNetworkResponse } from './messages.ts';

/** Before a watch is begun again: doubled with each try in vain, and less by chance, so that not all come at once. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Of these the next try would say the same. */
const FINAL: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Unimplemented,
]);

/** As it was at one moment. */
export interface NetworkView {
  readonly network: Network | undefined;
  /** By name. */
  readonly services: ReadonlyMap<string, ServiceStatus>;
  /** By identifier. */
  readonly agents: ReadonlyMap<string, Agent>;
}

/**
 * The network as it is, and again after each change. It goes on over a lost connection and a restart of control, and ends by
 * the signal, with its reason, or where another try would be as vain, with the ConnectError. The view is one and the same
 * object, which changes while the next is waited for.
 */
export async function* watchNetwork(
  admin: Pick<Admin, 'watchNetwork'>,
  network: string,
  signal?: AbortSignal,
): AsyncGenerator<NetworkView, void> {
  const view = new View();
  let failed = 0;
  for (;;) {
    try {
      const asked = { network, resumeToken: view.resumeToken };
      for await (const message of admin.watchNetwork(asked, signal === undefined ? {} : { signal })) {
        failed = 0;
        if (view.take(message)) yield view;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (FINAL.has(ConnectError.from(error).code)) throw error;
    }
    const longest = Math.min(FIRST_WAIT_MS * 2 ** failed, LONGEST_WAIT_MS);
    failed += 1;
    await setTimeout(longest * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal });
  }
}

class View implements NetworkView {
  network: Network | undefined;
  readonly services = new Map<string, ServiceStatus>();
  readonly agents = new Map<string, Agent>();
  resumeToken = '';

  /** Whether the batch is whole. */
  take(message: WatchNetworkResponse): boolean {
    if (message.snapshot) {
      this.services.clear();
      this.agents.clear();
      // Broken off within it, all is to be told again.
      this.resumeToken = '';
    }
    this.network = message.network ?? this.network;
    for (const service of message.services) this.services.set(service.service?.name ?? '', service);
    for (const name of message.removedServices) this.services.delete(name);
    for (const agent of message.agents) this.agents.set(agent.agentId, agent);
    for (const id of message.removedAgents) this.agents.delete(id);
    if (message.resumeToken === '') return false;
    this.resumeToken = message.resumeToken;
    return true;
  }
}
