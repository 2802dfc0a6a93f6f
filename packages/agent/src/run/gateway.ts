/** The gateway of an agent whose file asks for one, joined to the outbound side: the internet's calls are flows like any other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { formatHostPort, type HostPort, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { NetmapSource } from '../words/netmap.ts';
import { type Problems, passing } from '../words/problems.ts';

export interface GatewayParts {
  readonly netmap: NetmapSource;
  readonly outbound: Pick<Outbound, 'openIngress'>;
  readonly problems: Problems;
  readonly files: OpenFiles;
  readonly logger: Logger;
  /** The gateway began to listen, or ended. */
  readonly changed: () => void;
}

export interface OpenGateway {
  /** HOST:PORT while it listens. */
  readonly address: string | undefined;
}

/** A port that was taken may become free: tried again this often. */
const RETRY_MS = 5_000;

/** The gateway of now: one place at a time, or none, until the signal is aborted. */
export class GatewayPlace implements OpenGateway {
  readonly #parts: GatewayParts;
  readonly #signal: AbortSignal;
  #open: (OpenGateway & { readonly tried: Promise<void> }) | undefined;
  #at: HostPort | undefined;
  #end = new AbortController();

  constructor(parts: GatewayParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  get address(): string | undefined {
    return this.#open?.address;
  }

  /** Another place ends the one before, with its connections. Resolves when it listens, or could not yet. */
  async listen(at: HostPort | undefined): Promise<void> {
    if (!isDeepStrictEqual(at, this.#at)) {
      this.#at = at;
      this.#end.abort();
      this.#end = new AbortController();
      this.#open = at && openGateway(at, this.#parts, AbortSignal.any([this.#signal, this.#end.signal]));
      this.#parts.changed();
    }
    await this.#open?.tried;
  }
}

/** Listens until the signal is aborted. A port that cannot be had is a problem: the rest of the agent works. */
function openGateway(listen: HostPort, parts: GatewayParts, signal: AbortSignal) {
  const tried = Promise.withResolvers<void>();
  const opened: { address: string | undefined; readonly tried: Promise<void> } = {
    address: undefined,
    tried: tried.promise,
  };
  const subject = formatHostPort(listen.host, listen.port);
  const full = passing(parts.problems, {
    code: 'too-many-clients',
    subject: 'gateway',
    message:
      'more public connections come than the gateway takes at once: requests beyond that are answered 503, and who has asked nothing yet is closed; ' +
      'raise the limit of files (ulimit -n, or LimitNOFILE= in the unit), a quarter of which it takes, 4,096 at most, or add a gateway',
  });
  const attempt = async () => {
    const { netmap, outbound, files, logger } = parts;
    // Loaded here and not above: with it comes an HTTP stack, which most agents never need.
    const { ConduitDuplex, createGateway, IngressError } = await import('../gateway/index.ts');
    const gateway = await createGateway({
      listen,
      netmap,
      open: async (...asked) => {
        const ingress = await outbound.openIngress(...asked);
        if (!ingress.opened) return ingress;
        const failed = (cause: Error) => {
          if (!(cause instanceof IngressError)) return;
          if (cause.code === 'unanswered') ingress.unanswered();
          else if (cause.code === 'hung-up') ingress.unanswered('the service closed the connection without an answer');
          else if (cause.code === 'garbled') ingress.unanswered('what the service answered is no HTTP');
          else if (cause.code === 'coded')
            ingress.unanswered(
              'the service answered in another transfer coding than chunked, which cannot be passed on',
            );
        };
        return { opened: true, duplex: new ConduitDuplex(ingress.conduit, failed) };
      },
      files,
      full,
      logger,
      signal,
    });
    opened.address = formatHostPort(gateway.address.host, gateway.address.port);
    parts.problems.clear('gateway-listen', subject);
    parts.changed();
  };
  signal.addEventListener('abort', () => parts.problems.clear('gateway-listen', subject), { once: true });
  const run = async () => {
    while (!signal.aborted && opened.address === undefined) {
      try {
        await attempt();
      } catch (error) {
        if (signal.aborted) return;
        parts.problems.raise({ code: 'gateway-listen', subject, message: messageOf(error) });
        tried.resolve();
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  };
  void run().finally(() => tried.resolve());
  return opened;
}
