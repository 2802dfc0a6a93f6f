/** The one TLS port: admin service, agent service, reflection and health. */
import { Server, type ServerInterceptor } from '@grpc/grpc-js';
import type { HostPort } from '@weft/proto';
import type { AdminHandlers, AgentHandlers } from '@weft/proto/wire';
import { HealthImplementation } from 'grpc-health-check';
import type { Logger } from 'pino';
import { framedAgentService } from './agent-service.ts';
import type { Connections } from './connections.ts';
import { decodingAdminService } from './handler.ts';
import { BoundCredentials, boundHeaders } from './http2-bounds.ts';
import { tellMissingMethods, toldRefusals } from './library-refusals.ts';
import { Listener } from './listener.ts';
import { answerPlainCallers } from './plain-callers.ts';
import { addReflection } from './reflection.ts';
import { REQUEST_BYTES } from './request-limits.ts';

/** Of any message; request-limits.ts says who may send how much of it. */
const MAX_MESSAGE_BYTES = Math.max(...Object.values(REQUEST_BYTES));

export interface ControlServerOptions {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly admin: AdminHandlers;
  readonly agents: AgentHandlers;
  readonly interceptors: ServerInterceptor[];
  readonly connections: Connections;
  readonly logger: Logger;
}

export class ControlServer {
  readonly #server: Server;
  readonly #listener: Listener;
  readonly #health: HealthImplementation;
  readonly #logger: Logger;

  constructor({ keyPem, certificatePem, admin, agents, interceptors, connections, logger }: ControlServerOptions) {
    this.#logger = logger;
    this.#server = new Server({
      interceptors: [toldRefusals, ...interceptors],
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
      // Half a minute after a host vanished without a word, its stream ends here and its services are called unhealthy.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 10_000,
      // An agent's connection always carries its stream; others that carry nothing are let go.
      'grpc.max_connection_idle_ms': 300_000,
    });
    const { injectConnection } = this.#server.createConnectionInjector(new BoundCredentials(keyPem, certificatePem));
    boundHeaders(this.#server);
    tellMissingMethods(this.#server);
    this.#listener = new Listener(answerPlainCallers(injectConnection), connections);
    this.#server.addService(decodingAdminService, admin);
    this.#server.addService(framedAgentService, agents);
    this.#health = new HealthImplementation({
      '': 'SERVING',
      'weft.v1.AdminService': 'SERVING',
      'weft.v1.AgentService': 'SERVING',
    });
    this.#health.addToServer(this.#server);
    addReflection(this.#server);
  }

  /** The answer is the address with the port that was given where 0 was asked for. Rejects with ListenError. */
  listen(address: HostPort): Promise<HostPort> {
    return this.#listener.listen(address, this.#logger);
  }

  /** Lets calls under way finish, for at most `graceMs`; whatever is open then is cut. */
  async close(graceMs: number): Promise<void> {
    for (const service of ['', 'weft.v1.AdminService', 'weft.v1.AgentService']) {
      this.#health.setStatus(service, 'NOT_SERVING');
    }
    // Tells clients to go and lets their calls finish. Whether they did is seen by their connections.
    this.#server.tryShutdown(() => undefined);
    await this.#listener.close(graceMs);
  }
}
