/** A netmap to ask about, and a source that the test swaps, for the tests of whatever follows the netmap. */
import type { PortRange, Service } from '@weft/proto';
import type {
  EnforcementStep,
  Netmap,
  NetmapInstance,
  NetmapPeer,
  NetmapService,
  NetmapSource,
} from '../words/netmap.ts';

const tcp = (port: number): PortRange => ({ protocol: 'tcp', first: port, last: port });

function service(
  definition: Partial<Service> & Pick<Service, 'name' | 'kind'>,
  address: string | undefined,
  instances: readonly Partial<NetmapInstance>[] = [],
): [string, NetmapService] {
  const { name } = definition;
  return [
    name,
    {
      service: { ports: [], tags: [], ...definition },
      address,
      instances: instances.map((instance, ordinal) => ({
        service: name,
        ordinal,
        agentId: `agent-${ordinal}`,
        address: undefined,
        healthy: true,
        notListening: [],
        ...instance,
      })),
    },
  ];
}

function peer(host: string, address: string): [string, NetmapPeer] {
  return [
    `id-${host}`,
    {
      agentId: `id-${host}`,
      host,
      tunnelKey: new Uint8Array(32),
      psk: new Uint8Array(32),
      endpoints: [],
      tags: [],
      roles: [],
      services: [],
      address,
    },
  ];
}

export function sampleNetmap(overrides: Partial<Netmap> = {}): Netmap {
  return {
    timeline: 'line',
    index: 1,
    revision: 7,
    self: {
      agentId: 'id-here',
      network: 'prod',
      host: 'here',
      tags: [],
      address: '127.91.9.1',
      services: [],
      roles: [],
    },
    services: new Map([
      service(
        { name: 'redis', kind: 'private', ports: [tcp(6379), { protocol: 'udp', first: 100, last: 110 }] },
        '127.91.0.1',
        [
          { address: '127.91.1.0' },
          { address: '127.91.1.1', notListening: [tcp(6379)] },
          { address: '127.91.1.2', healthy: false },
          { address: '127.91.1.3' },
        ],
      ),
      service({ name: 'web', kind: 'web', ports: [tcp(3000)] }, '127.91.0.2'),
      service({ name: 'far', kind: 'private', ports: [tcp(80)] }, undefined, [{}]),
      service({ name: 'mailer', kind: 'worker' }, '127.91.0.3', [{ address: '127.91.1.9' }]),
    ]),
    peers: new Map([peer('build-3', '127.91.9.3')]),
    policy: {
      revision: 7,
      decide: () => {
        throw new Error('names are no matter of policy');
      },
      asksUser: () => false,
      usersAsked: () => [],
    },
    ruleSet: { defaultAction: 'allow', rules: [] },
    hostSource: () => {
      throw new Error('names are no matter of who calls');
    },
    ...overrides,
  };
}

/** Control has not spoken yet. */
export function silentNetmap(): Netmap {
  return sampleNetmap({ self: undefined, services: new Map(), peers: new Map(), revision: 0 });
}

export class FakeNetmapSource implements NetmapSource {
  readonly staleSinceMs = undefined;
  readonly #listeners: ((next: Netmap, previous: Netmap) => void)[] = [];
  current: Netmap;

  constructor(netmap: Netmap) {
    this.current = netmap;
  }

  subscribe(_step: EnforcementStep, listener: (next: Netmap, previous: Netmap) => void): void {
    this.#listeners.push(listener);
  }

  swap(next: Netmap): void {
    const previous = this.current;
    this.current = next;
    for (const listener of this.#listeners) listener(next, previous);
  }
}
