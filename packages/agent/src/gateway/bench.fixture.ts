/** A gateway in front of services that the test runs, over real sockets. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { defined, type Service } from '@weft/proto';
import { pino } from 'pino';
import { connectSocket } from '../bytes/socket.ts';
import { FakeNetmapSource, sampleNetmap } from '../netmap/sample.fixture.ts';
import type { Netmap } from '../words/netmap.ts';
import { ConduitDuplex } from './duplex.ts';
import { createGateway } from './server.ts';
import type { Gateway, GatewayLimits, IngressOpened, OpenIngress } from './types.ts';

export const HOST = 'shop.example.com';

/** A web service with a public host, another, and two of the kinds that no one may reach. */
export function publicNetmap(hosts: readonly string[] = [HOST], responseTimeoutMs?: number): Netmap {
  const ports = [{ protocol: 'tcp' as const, first: 3000, last: 3001 }];
  const services: Service[] = [
    { name: 'web', kind: 'web', ports, public: { port: 3000, hosts, ...defined({ responseTimeoutMs }) }, tags: [] },
    { name: 'blog', kind: 'web', ports, public: { port: 3001, hosts: ['blog.example.com'] }, tags: [] },
    { name: 'undeclared', kind: 'web', ports, public: { port: 4000, hosts: ['undeclared.example.com'] }, tags: [] },
    { name: 'forged', kind: 'private', ports, public: { port: 3000, hosts: ['forged.example.com'] }, tags: [] },
    { name: 'redis', kind: 'private', ports, tags: [] },
    { name: 'mailer', kind: 'worker', ports: [], tags: [] },
  ];
  return sampleNetmap({
    services: new Map(services.map((service) => [service.name, { service, address: undefined, instances: [] }])),
  });
}

/** What a client hears of whatever is not for it to know. */
export const SMALL_BODY = 'Not available.\n';

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string;
  readonly agent?: http.Agent;
}

export interface Opening {
  readonly service: string;
  readonly port: number;
  readonly clientAddress: string;
}

export class GatewayBench {
  readonly netmap = new FakeNetmapSource(publicNetmap());
  readonly openings: Opening[] = [];
  /** Connections to services, in the order of their openings. */
  readonly opened: Duplex[] = [];
  #controller = new AbortController();
  readonly #cleanups: (() => unknown)[] = [];
  #gateway: Gateway | undefined;
  /** Where flows to any service lead; or what the opening answers instead. */
  target: number | IngressOpened | (() => Promise<IngressOpened>) = { opened: false, outcome: 'no-instance' };

  readonly #open: OpenIngress = async (service, port, clientAddress, deadline, full) => {
    if (full !== undefined) return { opened: false, outcome: 'overloaded' };
    this.openings.push({ service, port, clientAddress });
    const { target } = this;
    if (typeof target === 'function') return await target();
    if (typeof target === 'object') return target;
    const { conduit } = await connectSocket({ host: '127.0.0.1', port: target, deadline });
    const duplex = new ConduitDuplex(conduit);
    this.opened.push(duplex);
    return { opened: true, duplex };
  };

  /** Times that the gateway was full. */
  full = 0;

  async start(limits: Partial<GatewayLimits> = {}): Promise<void> {
    this.#gateway = await createGateway({
      listen: { host: '127.0.0.1', port: 0 },
      netmap: this.netmap,
      open: this.#open,
      limits,
      full: () => {
        this.full += 1;
      },
      logger: pino({ level: 'silent' }),
      signal: this.#controller.signal,
    });
  }

  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('not started');
    return this.#gateway;
  }

  get port(): number {
    return this.gateway.address.port;
  }

  /** Ends the gateway alone, by its signal. */
  async stop(): Promise<void> {
    this.#controller.abort();
    await this.gateway.close();
  }

  /** The same services behind another gateway. */
  async restart(limits: Partial<GatewayLimits>): Promise<void> {
    await this.stop();
    this.#controller = new AbortController();
    await this.start(limits);
  }

  async close(): Promise<void> {
    await this.stop();
    for (const cleanup of this.#cleanups.reverse()) cleanup();
  }

  /** A service that speaks HTTP. */
  async serve(listener: http.RequestListener): Promise<http.Server> {
    const server = http.createServer(listener);
    await this.#listen(server);
    this.#cleanups.push(() => server.closeAllConnections());
    return server;
  }

  /** A service that speaks what it likes, over a raw socket. */
  async serveRaw(handler: (socket: net.Socket) => void): Promise<void> {
    await this.#listen(
      net.createServer({ allowHalfOpen: true }, (socket) => {
        this.#cleanups.push(() => socket.destroy());
        socket.on('error', () => {});
        handler(socket);
      }),
    );
  }

  async #listen(server: net.Server): Promise<void> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#cleanups.push(() => server.close());
    this.target = (server.address() as net.AddressInfo).port;
  }

  async connect(): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    this.#cleanups.push(() => client.socket.destroy());
    return client;
  }

  /** A request of Node's own client; its answer, read to the end. */
  async call({ method = 'GET', path = '/', headers = {}, body, agent }: Call = {}) {
    const request = http.request({
      port: this.port,
      host: '127.0.0.1',
      method,
      path,
      headers: { host: HOST, ...headers },
      agent: agent ?? false,
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    return { response, status: response.statusCode, body: await text(response) };
  }

  /** Sends bytes and answers all that comes until the gateway closes the connection. */
  async exchange(bytes: string): Promise<string> {
    const client = await this.connect();
    client.socket.write(bytes, 'latin1');
    return await client.untilClosed();
  }
}

/** A client that says exactly what the test says. */
export class RawClient {
  readonly socket: net.Socket;
  received = '';
  /** Whether it was reset, and not ended in order. */
  reset: boolean = false;
  #closed: boolean = false;
  #wake: (() => void) | undefined;

  static async connect(port: number): Promise<RawClient> {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1');
      this.#wake?.();
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      this.reset = code === 'ECONNRESET';
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#wake?.();
    });
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits until `pattern` has been received, and takes it and what came before. Throws when the connection ends first. */
  async take(pattern: RegExp | string): Promise<string> {
    for (;;) {
      const match = typeof pattern === 'string' ? this.received.indexOf(pattern) : this.received.search(pattern);
      if (match >= 0) {
        const length = typeof pattern === 'string' ? pattern.length : (pattern.exec(this.received)?.[0].length ?? 0);
        const taken = this.received.slice(0, match + length);
        this.received = this.received.slice(match + length);
        return taken;
      }
      if (this.#closed) throw new Error(`closed before ${String(pattern)}, after ${JSON.stringify(this.received)}`);
      await this.#change();
    }
  }

  async untilClosed(): Promise<string> {
    while (!this.#closed) await this.#change();
    return this.received;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
