/** One program that is shut in, as its agent sees it: from the hello of its supervisor to the end of that connection. */
import net from 'node:net';
import { messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { DnsServer } from '../dns/index.ts';
import { toWord, type Wanted } from './lines.ts';
import { SandboxListeners, type SandboxListenersOptions, socketOf } from './listeners.ts';
import type { Visitor, VisitorEvents } from './relay.ts';
import { SandboxSockets } from './sockets.ts';

/** Of the agent's side, where names are answered. RFC 7335 keeps it for within one host. */
export const SANDBOX_HOST = '192.0.0.1';
/** Of the program. */
export const PROGRAM_HOST = '192.0.0.2';
const DNS_PORT = 53;

export interface SandboxOptions extends Omit<SandboxListenersOptions, 'sockets'> {
  readonly visitor: Visitor;
  readonly wanted: Wanted;
  readonly dns: Pick<DnsServer, 'serveAlso'>;
  readonly log: Logger;
  readonly ended: () => void;
}

export class Sandbox implements VisitorEvents {
  readonly service: string;
  readonly egress: boolean;
  readonly uid: number;
  readonly pid: number;
  readonly sinceMs: number = Date.now();
  readonly sockets: SandboxSockets;
  readonly #options: SandboxOptions;
  readonly #listeners: SandboxListeners;
  #endNames: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: SandboxOptions) {
    const { visitor, wanted } = options;
    this.#options = options;
    this.service = wanted.service;
    this.egress = wanted.egress;
    this.uid = visitor.uid;
    this.pid = visitor.pid;
    this.sockets = new SandboxSockets(visitor);
    this.#listeners = new SandboxListeners({ ...options, sockets: this.sockets });
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
      if (!this.#closed) visitor.say('ready');
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

  /** It may not, or not any more. */
  refuse(reason: string): void {
    if (this.#closed) return;
    this.#options.visitor.say(`refused ${toWord(reason)}`);
    this.#options.visitor.close();
    this.closed();
  }

  line(line: string, handle: object | undefined): void {
    const [what, ...words] = line.split(' ');
    if (what === 'socket') this.sockets.came(Number(words[0]), handle);
    else if (what === 'failed') this.sockets.failed(Number(words[0]), Number(words[1]));
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.sockets.close();
    this.#listeners.close();
    this.#endNames?.();
    this.#options.ended();
  }

  async #answerNames(): Promise<void> {
    const place = { where: 'agent', host: SANDBOX_HOST, port: DNS_PORT } as const;
    const [stream, datagram] = await Promise.all([
      this.sockets.ask({ ...place, kind: 'tcp-listen' }),
      this.sockets.ask({ ...place, kind: 'udp' }),
    ]);
    const udp = await socketOf(datagram);
    const tcp = net.createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen(stream, resolve);
    });
    this.#endNames = this.#options.dns.serveAlso({ udp, tcp, outside: this.egress });
    if (this.#closed) this.#endNames();
  }
}
