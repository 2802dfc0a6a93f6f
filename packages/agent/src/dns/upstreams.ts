/** Who answers names that are not ours: a fixed list, or the host's own resolv.conf, read again when it changes. */
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { UpstreamFormError } from './errors.ts';

export interface Upstream {
  readonly host: string;
  readonly port: number;
}

/** Answers the resolvers to ask, in order; none of them leads back here. */
export type UpstreamSource = () => readonly Upstream[];

const DNS_PORT = 53;
/** As many as libc's resolver takes (MAXNS in resolv.h). */
const MAX_UPSTREAMS = 3;
/** How often resolv.conf may be looked at. */
const LOOK_AGAIN_MS = 1000;
/** A resolv.conf longer than this is none. */
const MAX_FILE_BYTES = 64 * 1024;

/** `10.0.0.2`, `10.0.0.2:5353`, `fe80::1%eth0` or `[::1]:5353`. Throws UpstreamFormError. */
export function parseUpstream(text: string): Upstream {
  if (isAddress(text)) return { host: text, port: DNS_PORT };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (!isAddress(host) || !(port >= 1 && port <= 65_535)) throw new UpstreamFormError(text);
  return { host, port };
}

/** The `nameserver` lines of a resolv.conf, resolv.conf(5). Lines that name no address are passed over. */
export function parseResolvConf(text: string): Upstream[] {
  return text.split('\n').flatMap((line) => {
    const [keyword, value = ''] = line.trim().split(/\s+/);
    return keyword === 'nameserver' && isAddress(value) ? [{ host: value, port: DNS_PORT }] : [];
  });
}

function isAddress(text: string): boolean {
  return isIP(text.replace(/%[\w.-]+$/, '')) !== 0;
}

/** Whether a question sent there would come back to the server that listens at `own`. */
export function leadsTo(own: Upstream, upstream: Upstream): boolean {
  if (upstream.port !== own.port) return false;
  const host = upstream.host.replace(/%.*$/, '');
  if (host === own.host) return true;
  if (host === '0.0.0.0' || host === '::') return true;
  if (own.host !== '0.0.0.0' && own.host !== '::') return false;
  if (host.startsWith('127.') || host === '::1') return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === host));
}

export function fixedUpstreams(texts: readonly string[], own: Upstream): UpstreamSource {
  const upstreams = texts.map(parseUpstream).filter((upstream) => !leadsTo(own, upstream));
  return () => upstreams;
}

/**
 * Reads the file at most once a second, and only when it is not the file it was. A file that went away, or cannot be
 * read just now (it is being replaced), leaves what was known; so does one that now names this server alone, as a host
 * does whose names were just given to it.
 */
export function resolvConfUpstreams(
  path: string,
  own: Upstream,
  logger: Logger,
  clock: () => number = () => performance.now(),
): UpstreamSource {
  let known: readonly Upstream[] = [];
  let seen = '';
  let lookAgainAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock();
    if (now < lookAgainAt) return known;
    lookAgainAt = now + LOOK_AGAIN_MS;
    try {
      const { mtimeMs, ino, size } = statSync(path);
      const mark = `${mtimeMs}/${ino}/${size}`;
      if (mark === seen || size > MAX_FILE_BYTES) return known;
      const named = parseResolvConf(readFileSync(path, 'utf8'));
      const usable = named.filter((upstream) => !leadsTo(own, upstream)).slice(0, MAX_UPSTREAMS);
      seen = mark;
      if (usable.length === 0 && named.length > 0 && known.length > 0) {
        const kept = known.map(({ host }) => host);
        logger.warn(
          { event: 'dns-upstreams-kept', path, upstreams: kept },
          'the file names this server alone; those that it named before are asked until this agent ends: keep them on further nameserver lines',
        );
        return known;
      }
      known = usable;
      const names = known.map(({ host }) => host);
      if (known.length > 0) logger.info({ event: 'dns-upstreams', path, upstreams: names }, 'resolvers read');
      else {
        logger.warn(
          { event: 'dns-no-upstream', path },
          'no resolver but this one: names outside internal fail; put the resolver of this network on a second nameserver line',
        );
      }
    } catch (error) {
      if (seen !== 'unreadable')
        logger.warn({ event: 'dns-resolv-conf-unreadable', path, err: error }, 'resolvers unknown');
      seen = 'unreadable';
    }
    return known;
  };
}
