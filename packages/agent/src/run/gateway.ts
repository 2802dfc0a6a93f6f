/** The gateway of an agent whose file asks for one, joined to the outbound side: the internet's calls are flows like any other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { AgentFile } from '../config/agent-file.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { NetmapSource } from '../words/netmap.ts';
import { type Problems, passing } from '../words/problems.ts';

export interface GatewayParts {
  readonly file: AgentFile;
  readonly netmap: NetmapSource;
  readonly outbound: Pick<Outbound, 'openIngress'>;
  readonly problems: Problems;
  readonly files: OpenFiles;
  readonly logger: Logger;
  /** The gateway began to listen. */
  readonly changed: () => void;
}

export interface OpenGateway {
  /** HOST:PORT while it listens. */
  readonly address: string | undefined;
}

/** A port that was taken may become free: tried again this often. */
const RETRY_MS = 5_000;

/** Listens until the signal is aborted. A port that cannot be had is a problem: the rest of the agent works. */
export function openGateway(parts: GatewayParts, signal: AbortSignal): OpenGateway {
  const listen = parts.file.gateway?.http;
  const opened: { address: string | undefined } = { address: undefined };
  if (listen === undefined) return opened;
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
  const run = async () => {
    while (!signal.aborted && opened.address === undefined) {
      try {
        await attempt();
      } catch (error) {
        if (signal.aborted) return;
        parts.problems.raise({ code: 'gateway-listen', subject, message: messageOf(error) });
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  };
  void run();
  return opened;
}
