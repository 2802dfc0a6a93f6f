/** The admin API as an operator's program meets it: a listening control server with a state in memory, and a client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { VOCABULARY, type Vocabulary } from '@weft/proto';
import {
  AdminClient,
  type AgentHandlers,
  bearerMetadata,
  callUnary,
  type pb,
  pinnedCredentials,
} from '@weft/proto/wire';
import { pino } from 'pino';
import { expect } from 'vitest';
import { createExplain } from '../admin/explain.ts';
import { OpenFlowsWalk } from '../admin/open-flows.ts';
import { createReach } from '../admin/reach.ts';
import { openAuditLog } from '../audit/log.ts';
import { openRefusalAudit } from '../audit/refusals.ts';
import { FailureCounter } from '../bounds/failures.ts';
import { openKeys } from '../enroll/certificate.ts';
import { createFlowWindow } from '../flows/memory-window.fixture.ts';
import { openState } from '../state/state.ts';
import { Store } from '../store/store.ts';
import { createTraffic } from '../traffic/traffic.ts';
import { adminAuth, adminGate, CallActors } from './admin-auth.ts';
import { adminCalls } from './admin-service.ts';
import { ProvedCalls } from './call-stream.ts';
import { Connections } from './connections.ts';
import { adminHandlers } from './handler.ts';
import { ControlServer } from './server.ts';

/** The one network of most tests. */
export const redis: pb.Outgoing<pb.Service> = {
  name: 'redis',
  kind: 2,
  ports: [{ protocol: 1, first: 6379, last: 6379 }],
};
export const TOKEN = 'weftadmin1.pin.secret';
export const READ_TOKEN = 'weftread1.pin.secret';
export const metadata = bearerMetadata(TOKEN);
export const readMetadata = bearerMetadata(READ_TOKEN);
const logger = pino({ level: 'silent' });
const noAgents: AgentHandlers = {
  join: (_call, callback) => callback({ code: status.UNIMPLEMENTED }),
  connect: (call) => void call.end(),
};

export type AdminBench = Awaited<ReturnType<typeof startAdmin>>;

export async function startAdmin(words: Vocabulary = VOCABULARY) {
  /** What the last apply that was to wait was asked for: network, revision, time. */
  const waited: unknown[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'weft-admin-'));
  const keys = await openKeys({ directory, names: ['127.0.0.1'] });
  const store = Store.inMemory();
  const state = await openState({ store, now: Date.now });
  const audit = openAuditLog({ store, now: Date.now });
  const actors = new CallActors();
  const flows = createFlowWindow();
  const live = { agent: () => undefined, instance: () => undefined };
  const admin = adminCalls({
    state,
    live,
    enforcement: {
      waitEnforced: async (...asked) => {
        waited.splice(0, waited.length, ...asked.slice(0, 3));
        return ['slow'];
      },
    },
    explain: createExplain({ state, live, tracer: { trace: async () => undefined } }),
    flows,
    openFlows: new OpenFlowsWalk({ live, asker: { openFlows: async () => undefined } }),
    disk: { problems: [{ code: 'flows-not-written', message: 'full', sinceMs: 5 }] },
    traffic: createTraffic({ now: Date.now }),
    reach: createReach(),
    audit,
    pin: keys.pin,
    advertise: [],
    listening: () => ({ host: '127.0.0.1', port: 7400 }),
    version: '1.2.3',
    words,
    startedMs: 5,
    now: Date.now,
    logger,
  });
  const failures = new FailureCounter({ failures: 3, windowMs: 60_000, remembered: 8 }, Date.now);
  const refusals = openRefusalAudit({ audit, now: Date.now, logger });
  const roles = new Map<string, 'admin' | 'read'>([
    [TOKEN, 'admin'],
    [READ_TOKEN, 'read'],
  ]);
  const known = { roleOf: (token: string) => roles.get(token) };
  const gate = adminGate({ credentials: known, failures, refusals, logger });
  const interceptors = [
    adminAuth({
      gate,
      actors,
      proved: new ProvedCalls(),
    }),
  ];
  const server = new ControlServer({
    ...keys,
    admin: adminHandlers(admin, actors, logger),
    agents: noAgents,
    interceptors,
    connections: new Connections(),
    logger,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const address = `127.0.0.1:${port}`;
  const credentials = await pinnedCredentials(address, keys.pin);
  const client = new AdminClient(address, credentials);
  return {
    calls: admin,
    gate,
    audit,
    state,
    flows,
    pin: keys.pin,
    client,
    address,
    credentials,
    waited,
    ask<Q, S>(method: Parameters<typeof callUnary<Q, S>>[1], request: pb.Outgoing<Q>): Promise<S> {
      return callUnary(client, method, request, { metadata });
    },
    async close(): Promise<void> {
      client.close();
      await server.close(100);
      rmSync(directory, { recursive: true });
    },
  };
}

export async function refusal(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => expect.unreachable('the call was served'),
    (error: ServiceError) => error,
  );
}
