/** Puts control together: store, state, the agents' streams, the gRPC port, the dashboard; and takes it apart again. */
import { existsSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  formatHostPort,
  type HostPort,
  hostInterfaces,
  LEAST_FILES,
  parseHostPort,
  requireFiles,
  VERSION,
} from '@weft/proto';
import { lockDirectory, lookAtSecrets, prepareDirectory, removeHalfWritten } from '@weft/proto/files';
import { openTracing } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { createExplain } from './admin/explain.ts';
import { OpenFlowsWalk } from './admin/open-flows.ts';
import { policyCache } from './admin/policy-cache.ts';
import { createReach } from './admin/reach.ts';
import { isWildcard, toldAddresses, unsaidAddresses } from './admin/token-addresses.ts';
import { openAuditLog } from './audit/log.ts';
import { openRefusalAudit } from './audit/refusals.ts';
import { isSecret } from './backup/contents.ts';
import { FailureCounter } from './bounds/failures.ts';
import { Dashboard } from './dashboard/dashboard.ts';
import { installedBinaries, startCommands } from './dashboard/start-commands.ts';
import { openKeys } from './enroll/certificate.ts';
import { openCredentials } from './enroll/credentials.ts';
import { Enroller } from './enroll/enroller.ts';
import { fileMemory } from './fleet/memory.ts';
import { LaterDenials } from './flows/later-denial.ts';
import { openFlowWindow } from './flows/window.ts';
import { openMetrics } from './metrics/metrics.ts';
import { adminAuth, adminGate, CallActors } from './rpc/admin-auth.ts';
import { adminCalls } from './rpc/admin-service.ts';
import { agentHandlers } from './rpc/agent-service.ts';
import { callObserver } from './rpc/call-observer.ts';
import { ProvedCalls } from './rpc/call-stream.ts';
import { Connections, MOST_AGENTS } from './rpc/connections.ts';
import { adminHandlers } from './rpc/handler.ts';
import { HttpCalls } from './rpc/http-calls.ts';
import { openCalls } from './rpc/open-calls.ts';
import { requestLimits } from './rpc/request-limits.ts';
import { requestTimer } from './rpc/request-timer.ts';
import { ControlServer } from './rpc/server.ts';
import { rpcTracing } from './rpc/tracing.ts';
import { unreadAnswers } from './rpc/unread-answers.ts';
import { tellOlder } from './state/older-data.ts';
import { onOtherNetwork } from './state/other-network.ts';
import { openState } from './state/state.ts';
import type { State } from './state/types.ts';
import { DiskWatch, ROOM } from './store/disk-watch.ts';
import { StoreError } from './store/errors.ts';
import { Store } from './store/store.ts';
import { createTraffic } from './traffic/traffic.ts';
import { ExposureTries } from './watch/exposure-tries.ts';
import { Hub } from './watch/hub.ts';
import { Receipts } from './watch/older-data.ts';

export interface ServeOptions {
  readonly directory: string;
  readonly listen: HostPort;
  /** Undefined for none. */
  readonly dashboard: HostPort | undefined;
  /** HOST:PORT each. */
  readonly advertise: readonly string[];
  /** Where metrics are served; none when left out. */
  readonly metrics?: HostPort | undefined;
  /** How many hours of flows are kept; left out for 24. */
  readonly flowHours?: number;
  /** And how many megabytes (MiB) of them; left out for 1,024. */
  readonly flowDisk?: number;
  /** What agents have heard of and the data does not hold is given up; left out for no. */
  readonly acceptOlderData?: boolean;
  readonly logLevel: string;
}

export interface Surroundings {
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export interface Control {
  /** HOST:PORT listened on. */
  readonly address: string;
  readonly dashboard: string | undefined;
  readonly metrics: string | undefined;
  readonly pin: Uint8Array;
  readonly adminTokenPath: string;
  /** Ends streams and calls, then lets go of the data. */
  close(): Promise<void>;
}

/** How long calls under way may take to finish when control stops. */
const CLOSE_GRACE_MS = 1_000;
/** How long a caller who has proved nothing may take to send a request, and to read an answer. */
const REQUEST_MS = 10_000;
/** How long an answer to a token waits for its caller. */
const UNREAD_MS = 120_000;
/** What control writes into its directory, beside its data. */
const FILES = ['admin.token', 'control.crt', 'control.key', 'flows.clock', 'read.token', 'reports.json', ROOM];
const ADMIN_FAILURES = { failures: 20, windowMs: 60_000, remembered: 1_024 };

/** Control is ready when this resolves; when it rejects, everything that was taken is given back. */
export async function startControl(options: ServeOptions, surroundings: Surroundings): Promise<Control> {
  const closers: Closer[] = [];
  try {
    return await start(options, surroundings, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

type Closer = () => void | Promise<void>;

async function start(options: ServeOptions, { logger, now }: Surroundings, closers: Closer[]): Promise<Control> {
  const { directory, advertise } = options;
  const startedMs = now();
  requireFiles(LEAST_FILES);
  const uid = process.getuid?.() ?? -1;
  prepareDirectory(directory, uid);
  const lock = lockDirectory(directory, 'control', 'weft-control');
  closers.push(() => lock.release());
  removeHalfWritten(directory, FILES);
  lookAtSecrets({ directory, isSecret, uid, logger });
  const tracing = await openTracing({ service: 'weft-control', version: VERSION, logger });
  closers.push(() => tracing?.close());

  refuseRestWithoutKey(directory);
  refuseKeyAlone(directory);
  const metrics = options.metrics === undefined ? undefined : await openMetrics();
  const disk = new DiskWatch({ directory, logger, now, tryData: () => store.tryWrite() });
  closers.push(() => disk.close());
  const store = Store.open(directory, (tookMs, failure) => {
    metrics?.counters.wroteData(tookMs, failure);
    disk.note('data', failure);
  });
  closers.push(() => store.close());
  const state = await openState({ store, now });
  refuseDataWithoutKey(directory, state.current);
  // After the data is there: a start that ended in between must not look like data that was lost.
  const names = certificateNames(options);
  const { keyPem, certificatePem, pin } = await openKeys({ directory, names });
  const credentials = await openCredentials(directory, pin);
  const looking = setInterval(() => state.lookAtClock(), 60_000);
  closers.push(() => clearInterval(looking));
  const audit = openAuditLog({ store, now });

  const limits = flowLimits(options);
  const denials = new LaterDenials(state);
  const flows = await openFlowWindow({
    directory: join(directory, 'flows'),
    limits,
    wrote: (failure) => {
      metrics?.counters.wroteFlows(failure);
      disk.note('flows', failure);
    },
    confirms: (...asked) => denials.isSo(...asked),
    logger,
    now,
  });
  closers.push(() => flows.close());
  onOtherNetwork(state, (name) => flows.forget(name));
  const traffic = createTraffic({ now });
  const { acceptOlderData = false } = options;
  const timeline = await state.beginRun(acceptOlderData);
  const hub = new Hub({
    state,
    flows,
    traffic,
    pin,
    timeline,
    receipts: new Receipts(keyPem),
    acceptOlderData,
    mostAgents: MOST_AGENTS,
    audit,
    logger,
    now,
    memory: fileMemory(join(directory, 'reports.json'), logger),
    controlAddresses: toldAddresses(options),
    ...(metrics === undefined ? {} : { observer: metrics.counters.streams }),
  });
  closers.push(() => hub.close());
  const tries = new ExposureTries({
    state,
    live: hub.fleet,
    trier: hub,
    found: (agentId, found) => hub.fleet.tried(agentId, found),
    now,
  });
  tries.start();
  closers.push(() => tries.close());
  let listening = options.listen;
  const policyOf = policyCache();
  /** What the gRPC port and the page tell and do alike. */
  const told = {
    state,
    live: hub.fleet,
    flows,
    openFlows: new OpenFlowsWalk({ live: hub.fleet, asker: hub }),
    traffic,
    explain: createExplain({ state, live: hub.fleet, tracer: hub, policyOf }),
    reach: createReach(policyOf),
    audit,
    disk,
    pin,
    advertise,
    listening: () => listening,
    version: VERSION,
    now,
    logger,
  };
  const calls = adminCalls({ ...told, enforcement: hub.fleet, startedMs });
  const actors = new CallActors();
  const proved = new ProvedCalls();
  const connections = new Connections();
  const failures = new FailureCounter(ADMIN_FAILURES, now);
  const refusals = openRefusalAudit({ audit, now, logger });
  const gate = adminGate({ credentials, failures, refusals, logger });
  const server = new ControlServer({
    keyPem,
    certificatePem,
    admin: adminHandlers(calls, actors, logger),
    agents: agentHandlers({ hub, enroller: new Enroller({ state, now, logger }), proved, logger }),
    interceptors: [
      ...(metrics === undefined ? [] : [callObserver(metrics.counters.calls)]),
      connections.keepSeats(proved),
      requestLimits(proved),
      openCalls(),
      adminAuth({ gate, actors, proved }),
      ...(tracing === undefined ? [] : [rpcTracing(tracing)]),
      requestTimer(REQUEST_MS),
      unreadAnswers({ anyoneMs: REQUEST_MS, tokenMs: UNREAD_MS }),
    ],
    connections,
    logger,
  });
  // The streams end before the server waits for them, and the data is let go of only when no call can touch it.
  closers.push(async () => {
    hub.close();
    await server.close(CLOSE_GRACE_MS);
  });
  listening = await server.listen(options.listen);

  let dashboard: string | undefined;
  if (options.dashboard !== undefined) {
    const { adminTokenPath, roleOf } = credentials;
    const binaries = installedBinaries();
    const start = () => startCommands({ listening, adminTokenPath, state: state.current, binaries });
    const http = new HttpCalls({ calls, gate, observer: metrics?.counters.calls, tracer: tracing, logger });
    const page = new Dashboard({ ...told, start, roleOf, refusals, calls: http });
    closers.push(() => page.close());
    const { host, port } = await page.listen(options.dashboard);
    dashboard = formatHostPort(host, port);
  }
  let scraped: string | undefined;
  if (metrics !== undefined && options.metrics !== undefined) {
    const unready = () => state.olderData && tellOlder(state.olderData, state.current.revision);
    const served = await metrics.serve({ address: options.metrics, sources: told, unready, logger });
    closers.push(() => served.close());
    scraped = formatHostPort(served.address.host, served.address.port);
  }
  const address = formatHostPort(listening.host, listening.port);
  const { revision } = state.current;
  logger.info(
    { event: 'started', address, dashboard, metrics: scraped, version: VERSION, directory, revision },
    'control started',
  );
  const unsaid = unsaidAddresses({ advertise, listen: listening, interfaces: hostInterfaces() ?? {} });
  if (unsaid?.grave === true) {
    logger.warn({ event: 'token-addresses', addresses: unsaid.addresses }, unsaid.words);
  } else if (unsaid !== undefined) {
    logger.info({ event: 'token-addresses', addresses: unsaid.addresses }, unsaid.words);
  }
  const { adminTokenPath } = credentials;
  return { address, dashboard, metrics: scraped, pin, adminTokenPath, close: () => closeAll(closers) };
}

/** Made at a first start, each after the key: one that is there shows that there was a key, before a new one is made. */
function refuseRestWithoutKey(directory: string): void {
  const key = join(directory, 'control.key');
  const left = ['control.crt', 'admin.token', 'read.token'].map((name) => join(directory, name)).filter(existsSync);
  if (left[0] === undefined || existsSync(key)) return;
  throw new StoreError(
    'missing',
    `${left[0]} is there and ${key} is not, by which hosts know control. Put control.key, control.crt and control.db back from a ` +
      `backup; or, to begin anew, move all of ${directory} away, after which every host has to join again`,
  );
}

/** Agents trust who has the key; without what it decided, that would be a control that has forgotten every deny. */
function refuseKeyAlone(directory: string): void {
  const [key, data] = [join(directory, 'control.key'), join(directory, 'control.db')];
  // The data is made before the key, so that an empty file beside one has lost what it held.
  if (!existsSync(key) || (statSync(data, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  throw new StoreError(
    'missing',
    `${key} is there and ${data} is not, or is empty, so control would know no network. Put ${data} back from a backup; ` +
      `or, to begin anew, move all of ${directory} away, after which every host has to join again`,
  );
}

/** A new key would shut out every host that has joined, none of which could tell why. */
function refuseDataWithoutKey(directory: string, { networks }: State): void {
  const [key, data] = [join(directory, 'control.key'), join(directory, 'control.db')];
  if (networks.size === 0 || existsSync(key)) return;
  throw new StoreError(
    'missing',
    `${data} is there and ${key} is not, by which hosts know control. Put ${key} and control.crt back from a backup; ` +
      `or, to begin anew, move all of ${directory} away, after which every host has to join again`,
  );
}

function flowLimits({ flowHours, flowDisk }: ServeOptions): { maxAgeMs?: number; maxBytes?: number } {
  return {
    ...(flowHours === undefined ? {} : { maxAgeMs: flowHours * 3_600_000 }),
    ...(flowDisk === undefined ? {} : { maxBytes: flowDisk * 1_048_576 }),
  };
}

/** In reverse order of opening, each even if one before it failed; the first failure is thrown at the end. */
async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Names for clients that check names: ours go by the pin. */
function certificateNames({ listen, advertise }: ServeOptions): string[] {
  const named = advertise.flatMap((address) => parseHostPort(address)?.host ?? []);
  const all = ['localhost', '127.0.0.1', '::1', hostname().toLowerCase(), ...named];
  if (!isWildcard(listen.host)) all.push(listen.host);
  return [...new Set(all)].filter((name) => isIP(name) > 0 || /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?)+$/i.test(name));
}
