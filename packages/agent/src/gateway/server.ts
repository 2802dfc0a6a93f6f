/** The gateway: the one place where the internet comes in, and web services' public ports are all it finds. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Admission, addressGroup } from '@weft/proto/bounds';
import { listen as listenOn } from '@weft/proto/observe';
import { descriptorOf } from '../bytes/inside/known.ts';
import { type Admitted, admit } from './admission.ts';
import { carry } from './carry.ts';
import { Client, LINGER_MS, part } from './client.ts';
import { refuse, refuseRaw } from './refusal.ts';
import { createRouter } from './routes.ts';
import { DEFAULT_LIMITS, type Gateway, type GatewayCounters, type GatewayOptions, type OpenIngress } from './types.ts';
import { carryUpgrade, wantsUpgrade } from './upgrade.ts';

/** How often connections are looked over for headers that take too long. */
const CHECK_MS = 2000;
/** How often clients are looked over for bodies that hardly come, and answers that are not taken. */
const LOOK_MS = 1000;
/** How long an answer may pause after its client closed its half in the middle of it. */
const LEAVING_MS = 5000;
/** After this long without a byte the kernel asks whether a client is still there. */
const KEEP_ALIVE_PROBE_MS = 60_000;

/** Answers when it listens. Throws ListenError. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { listen, signal } = options;
  signal.throwIfAborted();
  const logger = options.logger.child({ part: 'gateway' });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const responseMs = Math.min(limits.responseMs, limits.idleMs);
  const counters: GatewayCounters = { connections: 0, requests: 0, upgrades: 0, refused: 0, failed: 0 };
  const findRoute = createRouter(options.netmap);
  const clients = new Map<Socket, Client>();

  const server = http.createServer({
    // A missing Host is answered here, with the same body as everything else.
    requireHostHeader: false,
    insecureHTTPParser: false,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerMs,
    // A body may take as long as it flows; `idleMs` ends one that does not.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(CHECK_MS, limits.headerMs),
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    noDelay: true,
    shouldUpgradeCallback: wantsUpgrade,
  });
  // All of them, or a second Host might be among those left out; `headerBytes` bounds them.
  server.maxHeadersCount = 0;
  server.timeout = limits.idleMs;
  // A client that has said all may close its half, and still wants the answer. Of node's type this is no part.
  Object.assign(server, { httpAllowHalfOpen: true });

  // The internet takes no more than a quarter of the files; the rest is for the private network.
  const most = Math.min(limits.connections, Math.floor((options.files?.usable ?? Number.POSITIVE_INFINITY) / 4));
  const admission = new Admission({
    most,
    mostOfOne: Math.ceil((limits.connectionsOfOne * most) / limits.connections),
  });
  // The other places are for who comes: a request beyond these is read, answered and recorded, and not lost at the door.
  const mostServed = most - Math.floor(most / 8);
  // They may be silent for as long as they like: the other half is for requests.
  const mostUpgraded = Math.max(1, Math.floor(mostServed / 2));
  const lookMs = Math.min(LOOK_MS, limits.bodyMs / 4, limits.stallMs / 4);
  let madeRoomMs = 0;
  /** A few addresses must not hold every place, nor the services' programs, for as long as they like. */
  const look = (room: boolean): void => {
    const nowMs = performance.now();
    if (room && nowMs - madeRoomMs < lookMs) return;
    if (room) madeRoomMs = nowMs;
    for (const client of clients.values())
      client.look(nowMs, room, (response) => refuse(response, 408, counters, true));
  };
  const looking = setInterval(look, lookMs, false).unref();
  const open: OpenIngress = (service, port, clientAddress, deadline) => {
    if (admission.served <= mostServed) return options.open(service, port, clientAddress, deadline);
    options.full();
    look(true);
    return options.open(service, port, clientAddress, deadline, `the gateway already serves ${mostServed} connections`);
  };
  const report = (admitted: Admitted, status: number, cause: unknown): void => {
    logger.debug({ event: 'gateway-failed', service: admitted.route.service, status, err: cause }, 'a request failed');
  };

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    counters.requests++;
    const client = clients.get(request.socket);
    client?.enqueue((over) => {
      response.on('close', () => {
        lingerOver(request);
        over();
      });
      if (!request.socket.writable) return;
      client.response = response;
      const bodyBegins = () => client.begins(request);
      if (request.headers.expect === undefined) bodyBegins();
      else request.once('data', bodyBegins);
      const admitted = admit(request, findRoute);
      if (!admitted.admitted) {
        refuse(response, admitted.status, counters);
        return;
      }
      const failed = (status: number, cause: unknown): void => {
        report(admitted, status, cause);
        if (!response.headersSent) refuse(response, status, counters);
      };
      const { agent, address: clientAddress } = client;
      try {
        client.giveUp = carry({ request, response, admitted, agent, clientAddress, responseMs, bodyBegins, failed });
      } catch (error) {
        // node will not repeat what its parser let through, such as a control character in a field.
        failed(400, error);
      }
    });
  };

  const serveUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    counters.requests++;
    const client = clients.get(socket);
    if (client === undefined) return;
    // Sent behind a request that has no answer yet: the answer and the new protocol would run into each other.
    if (client.busy) {
      socket.destroy();
      return;
    }
    socket.on('error', () => socket.destroy());
    const admitted = admit(request, findRoute);
    if (!admitted.admitted || !wantsUpgrade(request)) {
      refuseRaw(socket, admitted.admitted ? 400 : admitted.status, counters);
      return;
    }
    const failed = (status: number, cause: unknown): void => {
      report(admitted, status, cause);
      refuseRaw(socket, status, counters);
    };
    client.speaksRaw();
    const upgraded = (): void => {
      counters.upgrades++;
      client.upgraded();
      const silent = longestSilent(clients.values(), mostUpgraded);
      if (silent === undefined) return;
      options.full();
      silent.cut();
    };
    const { agent, address: clientAddress } = client;
    try {
      carryUpgrade({
        request,
        socket,
        head,
        admitted,
        agent,
        clientAddress,
        responseMs,
        idleMs: limits.idleMs,
        upgraded,
        failed,
      });
    } catch (error) {
      failed(400, error);
    }
  };

  server.on('connection', (socket) => {
    // Files first: nobody makes room for one that is refused all the same.
    const spared = options.files?.spares(descriptorOf(socket)) !== false;
    const evict = (unproved: boolean): void => {
      // It may have had no time to ask, and knows of nothing but a reset.
      if (unproved) options.full();
      socket.destroy();
    };
    const seat = spared ? admission.enter(socket.remoteAddress ?? '', evict) : undefined;
    if (seat === undefined) {
      if (spared && admission.held >= most) options.full();
      socket.destroy();
      return;
    }
    counters.connections++;
    // node's server calls it after the last response, in the middle of a request as well.
    Object.assign(socket, { destroySoon: () => part(socket) });
    clients.set(socket, new Client(socket, seat, open, limits));
    // In the middle of an answer a client that leaves looks the same, until something is written to it.
    socket.on('end', () => {
      if (clients.get(socket)?.response?.headersSent === true) socket.setTimeout(LEAVING_MS);
    });
    socket.on('close', () => clients.delete(socket));
  });
  server.on('request', serve);
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  server.on('upgrade', (request, socket, head) => serveUpgrade(request, socket as Socket, head));
  server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy());
    // As with an upgrade: the refusal would stand amid an answer that is owed, or pass for it.
    if (clients.get(socket as Socket)?.busy === true) {
      socket.destroy();
      return;
    }
    refuseRaw(socket, 405, counters);
  });
  server.on('timeout', (socket) => {
    const giveUp = clients.get(socket)?.giveUp;
    if (giveUp === undefined) socket.destroy();
    else giveUp();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const client = clients.get(socket as Socket);
    const response = client?.response;
    // Into the middle of a response nothing can be said; what was said whole is still to be read.
    if (error.code === 'ECONNRESET') socket.destroy();
    else if (response?.writableEnded === true) part(socket);
    else if (response?.headersSent === false && !response.req.complete) {
      // In its own body, which never ends for the service: that has no whole request, and is left with the connection.
      refuse(response, parseFailureStatus(error.code), counters, true);
      part(socket);
    } else if (client?.busy === true) socket.destroy();
    else refuseRaw(socket, parseFailureStatus(error.code), counters);
  });

  const address = await listenOn(server, listen, 'gateway.http', logger);
  const closed = once(server, 'close').then(() => undefined);
  let closing = false;
  const close = (): Promise<void> => {
    if (!closing) {
      closing = true;
      clearInterval(looking);
      signal.removeEventListener('abort', onAbort);
      server.close();
      // Upgraded connections among them, which node has let go of.
      for (const client of clients.values()) client.cut();
    }
    return closed;
  };
  const onAbort = (): void => void close();
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) await close();
  logger.info({ event: 'gateway-up', ...address }, 'gateway open');
  return { address, counters, close };
}

/**
 * Who makes room where more than `most` are upgraded; undefined where there are no more. Of the address that has most of them, the one that
 * has been silent for longest.
 */
function longestSilent(clients: Iterable<Client>, most: number): Client | undefined {
  const groups = new Map<string, Client[]>();
  let count = 0;
  for (const client of clients) {
    if (client.silentSinceMs === undefined) continue;
    const name = addressGroup(client.address);
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push(client);
    count += 1;
  }
  if (count <= most) return undefined;
  const [largest = []] = [...groups.values()].sort((one, other) => other.length - one.length);
  return largest.reduce((first, client) => ((client.silentSinceMs ?? 0) < (first.silentSinceMs ?? 0) ? client : first));
}

/** The response is over and the request is not: its rest is read away, for a while. */
function lingerOver(request: IncomingMessage): void {
  if (request.complete || request.socket.destroyed) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS);
  request.on('close', () => clearTimeout(timer));
  request.resume();
}

function parseFailureStatus(code: string | undefined): number {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408;
    default:
      return 400;
  }
}
