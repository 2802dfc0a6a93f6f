/** One program that is shut in, as its agent sees it: from the hello of its supervisor to the end of that connection. */
import net from 'node:net';
import {
  type AddressRange,
  messageOf,
  type PortRange,
  type Protocol,
  parseAddress,
  type ReportedSandbox,
  type Service,
} from '@weft/proto';
import type { Logger } from 'pino';
import { closeHandle } from '../bytes/handle.ts';
import type { DnsServer } from '../dns/index.ts';
import { Egress, type EgressCounts } from '../egress/egress.ts';
import type { EgressShare } from '../egress/egress-share.ts';
import type { EgressRights } from '../egress/rights.ts';
import { CARRIED_TO } from '../egress/rules.ts';
import type { Serving, ServingPlace } from './inside.ts';
import { toWord, type Wanted } from './lines.ts';
import { SANDBOX_HOST } from './link.ts';
import { SandboxListeners, type SandboxListenersOptions, socketOf } from './listeners.ts';
import { NOTHING_OPENED, type OpenedPorts, placeIn, publishedPorts, readOpened, servedPorts } from './opened.ts';
import type { Visitor, VisitorEvents } from './relay.ts';
import { isOfProtocol, SandboxSockets } from './sockets.ts';

const DNS_PORT = 53;
/** Lines that tell where its program listens, before the last: enough for the 2,048 places of which a supervisor tells. */
const MOST_PIECES = 32;

export interface SandboxOptions extends Omit<SandboxListenersOptions, 'sockets'> {
  readonly visitor: Visitor;
  readonly wanted: Wanted;
  readonly dns: Pick<DnsServer, 'serveAlso'>;
  /** Where this host's VIPs lie. */
  readonly range: AddressRange;
  readonly share: EgressShare;
  readonly log: Logger;
  /** Name of its user, or the number written out. */
  readonly user: string;
  /** The systemd unit that its supervisor is in; empty for none. */
  readonly unit: string;
  /** The service as the mesh of now has it. */
  readonly declared: () => Service | undefined;
  /** Where its program listens has changed. */
  readonly changed: () => void;
  readonly ended: () => void;
}

export class Sandbox implements VisitorEvents, Serving {
  readonly service: string;
  readonly uid: number;
  readonly pid: number;
  readonly sinceMs: number = Date.now();
  readonly sockets: SandboxSockets;
  readonly calls: Set<() => void> = new Set<() => void>();
  readonly #options: SandboxOptions;
  readonly #listeners: SandboxListeners;
  readonly #egress: Egress | undefined;
  #opened: OpenedPorts = NOTHING_OPENED;
  /** Of what its program listens on, told before the line that ends it. */
  readonly #more: string[] = [];
  #endNames: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: SandboxOptions) {
    const { visitor, wanted } = options;
    this.#options = options;
    this.service = wanted.service;
    this.uid = visitor.uid;
    this.pid = visitor.pid;
    this.sockets = new SandboxSockets(visitor);
    this.#listeners = new SandboxListeners({ ...options, sockets: this.sockets });
    if (wanted.egress !== undefined) this.#egress = this.#openEgress(wanted.egress);
  }

  /** What is open outside the mesh; undefined where nothing is to be reached there. */
  get outside(): EgressCounts | undefined {
    return this.#egress?.counts;
  }

  get listening(): number {
    return this.#listeners.count;
  }

  /** Names are answered and services listened for before the program is started. */
  async begin(): Promise<void> {
    const { visitor, log } = this.#options;
    try {
      await this.#answerNames();
      await this.#listeners.follow();
      if (this.#egress !== undefined)
        await this.#egress.listen(await this.sockets.ask({ where: 'agent', kind: 'tcp-carried', ...CARRIED_TO }));
      if (this.#closed) return;
      visitor.say('watch');
      visitor.say('ready');
    } catch (err) {
      if (this.#closed) return;
      log.warn({ event: 'sandbox-failed', service: this.service, pid: this.pid, err }, 'a sandbox could not be served');
      this.refuse(`the agent could not serve this sandbox: ${messageOf(err)}`);
    }
  }

  /** What the netmap of now says. */
  async follow(): Promise<void> {
    await this.#listeners.follow();
  }

  get opened(): readonly PortRange[] {
    return publishedPorts(this.#opened, this.#options.wanted.ports);
  }

  get reported(): ReportedSandbox {
    const { user, unit, wanted, declared } = this.#options;
    const { service, pid, sinceMs } = this;
    const ports = servedPorts(this.#opened, wanted.ports, declared() ?? { ports: [] });
    return { service, user, pid, unit, sinceMs, ports, egress: wanted.egress !== undefined };
  }

  placeOf(port: number, protocol: Protocol): ServingPlace | undefined {
    const { wanted, declared } = this.#options;
    return placeIn(this.#opened, wanted.ports, declared() ?? { ports: [] }, port, protocol);
  }

  /** It may not, or not any more. */
  refuse(reason: string): void {
    if (this.#closed) return;
    this.#options.visitor.say(`refused ${toWord(reason)}`);
    this.#options.visitor.close();
    this.closed();
    // Its program goes on, and may serve nobody as this service.
    for (const cut of [...this.calls]) cut();
  }

  line(line: string, handle: object | undefined): void {
    const [what, ...words] = line.split(' ');
    if (what === 'carry') this.#carry(words, handle);
    else if (what === 'socket') this.sockets.came(Number(words[0]), handle);
    else if (what === 'more') {
      if (this.#more.length < MOST_PIECES) this.#more.push(words[0] ?? '');
    } else if (what === 'listening') {
      this.#opened = readOpened([words[0] ?? '', ...this.#more.splice(0)].join(','));
      this.#options.changed();
    } else if (what === 'failed') this.sockets.failed(Number(words[0]), Number(words[1]));
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sockets.close();
    this.#listeners.close();
    this.#egress?.close();
    this.#endNames?.();
    this.#options.ended();
  }

  #openEgress(rights: EgressRights): Egress {
    const { side, range: vips, files, share, log } = this.#options;
    return new Egress({ admit: side.outside, rights, vips, files, share, log });
  }

  /** `carry HOST PORT`, with a socket there for a program's that sends to it. */
  #carry([host = '', port = '']: readonly string[], handle: object | undefined): void {
    const called = { host, port: Number(port) };
    const known = parseAddress(host) !== undefined && called.port > 0 && called.port < 65_536;
    if (handle === undefined || this.#egress === undefined || !known || !isOfProtocol(handle, 'udp'))
      closeHandle(handle);
    else this.#egress.datagrams(handle, called);
  }

  async #answerNames(): Promise<void> {
    const place = { where: 'agent', host: SANDBOX_HOST, port: DNS_PORT } as const;
    const [streamed, datagram] = await Promise.allSettled([
      this.sockets.ask({ ...place, kind: 'tcp-listen' }).then(serverOf),
      this.sockets.ask({ ...place, kind: 'udp' }).then(socketOf),
    ]);
    if (streamed.status === 'rejected' || datagram.status === 'rejected') {
      // Of two the one that came is nobody's.
      for (const each of [streamed, datagram]) if (each.status === 'fulfilled') each.value.close();
      throw streamed.status === 'rejected' ? streamed.reason : (datagram as PromiseRejectedResult).reason;
    }
    const [tcp, udp] = [streamed.value, datagram.value];
    this.#endNames = this.#options.dns.serveAlso({ udp, tcp, outside: this.#egress !== undefined });
    if (this.#closed) this.#endNames();
  }
}

/** Of a listening socket. Rejects with the system's error; the handle is closed then. */
function serverOf(handle: object): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true });
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      closeHandle(handle);
      reject(cause as Error);
    };
    // Who handed it over has a copy: accepting may fail before who takes it listens.
    server.on('error', () => undefined);
    server.once('error', fail);
    try {
      server.listen(handle, () => {
        server.off('error', fail);
        resolve(server);
      });
    } catch (cause) {
      fail(cause);
    }
  });
}
