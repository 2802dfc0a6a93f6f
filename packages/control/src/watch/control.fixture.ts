/** Control's agent end over real gRPC on a free port, for tests. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { defined, type Vocabulary } from '@weft/proto';
import { type Logger, pino } from 'pino';
import { createFlowWindow } from '../flows/memory-window.fixture.ts';
import type { FlowWindow } from '../flows/types.ts';
import { emptyState, type JoinedHost, joinHost, type TestHost } from '../netmap/network.fixture.ts';
import { agentHandlers, framedAgentService } from '../rpc/agent-service.ts';
import { ProvedCalls } from '../rpc/call-stream.ts';
import type { StateStore } from '../state/types.ts';
import { createTraffic } from '../traffic/traffic.ts';
import type { Traffic } from '../traffic/types.ts';
import { FakeAgent, type FakeAgentOptions } from './fake-agent.fixture.ts';
import { Hub } from './hub.ts';
import type { HubOptions, StreamObserver } from './hub-options.ts';
import { Receipts } from './older-data.ts';

export const PIN = new Uint8Array(32).fill(3);

export interface ControlOptions {
  readonly state?: StateStore;
  readonly timing?: HubOptions['timing'];
  readonly memory?: HubOptions['memory'];
  readonly observer?: StreamObserver;
  readonly words?: Vocabulary;
  readonly acceptOlderData?: boolean;
  readonly mostAgents?: number;
  readonly logger?: Logger;
}

export class TestControl implements AsyncDisposable {
  readonly state: StateStore;
  readonly flows: FlowWindow;
  readonly traffic: Traffic;
  readonly hub: Hub;
  readonly address: string;
  readonly #server: Server;
  readonly #agents: FakeAgent[] = [];

  private constructor(
    { state, flows, traffic }: Pick<HubOptions, 'state' | 'flows' | 'traffic'>,
    hub: Hub,
    server: Server,
    address: string,
  ) {
    this.state = state;
    this.hub = hub;
    this.flows = flows;
    this.traffic = traffic;
    this.#server = server;
    this.address = address;
  }

  static async start({
    state: given,
    timing,
    memory,
    observer,
    words,
    acceptOlderData = false,
    mostAgents = Number.POSITIVE_INFINITY,
    logger = pino({ level: 'silent' }),
  }: ControlOptions = {}): Promise<TestControl> {
    const state = given ?? (await emptyState());
    const flows = createFlowWindow(100);
    const traffic = createTraffic({ now: Date.now });
    const extra = {
      ...defined({ timing, memory, observer, words }),
    };
    const timeline = await state.beginRun(acceptOlderData);
    const audit = { record: () => Promise.resolve() };
    const run = { audit, timeline, acceptOlderData, mostAgents, receipts: new Receipts('of a test') };
    const hub = new Hub({ ...run, state, flows, traffic, pin: PIN, logger, now: Date.now, ...extra });
    const server = new Server();
    const enroller = {
      join: () => {
        throw new Error('not part of this test');
      },
    };
    server.addService(framedAgentService, agentHandlers({ hub, enroller, proved: new ProvedCalls(), logger }));
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return new TestControl({ state, flows, traffic }, hub, server, `127.0.0.1:${port}`);
  }

  async join(host: TestHost, network = 'prod'): Promise<JoinedHost> {
    return await joinHost(this.state, network, host);
  }

  /** An agent that is connecting. */
  connect(joined: JoinedHost, options: FakeAgentOptions = {}): FakeAgent {
    const agent = new FakeAgent(this.address, PIN, joined, options);
    this.#agents.push(agent);
    return agent.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hub.close();
    for (const agent of this.#agents) agent.close();
    this.#server.forceShutdown();
  }
}
