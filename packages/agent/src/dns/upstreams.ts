/** Who answers names that are not ours: a fixed list, or the host's own resolv.conf, read again when it changes. */
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { isOnThisHost, plainAddress } from '@weft/proto';
import type { Logger } from 'pino';

export interface Upstream {
  readonly host: string;
  readonly port: number;
}

/** Answers the resolvers to ask, in order; none of them leads back here. */
export type UpstreamSource = () => readonly Upstream[];

export const DNS_PORT = 53;
/** As many as libc's resolver takes (MAXNS in resolv.h). */
const MAX_UPSTREAMS = 3;
/** systemd-resolved's stub, and where it says whom it asks itself (systemd-resolved.service(8)). */
const STUB_HOSTS: ReadonlySet<string> = new Set(['127.0.0.53', '127.0.0.54']);
const BEHIND_STUB = '/run/systemd/resolve/resolv.conf';
/** How often resolv.conf may be looked at. */
const LOOK_AGAIN_MS = 1000;
/** A resolv.conf longer than this is none. */
const MAX_FILE_BYTES = 64 * 1024;

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
  const host = plainAddress(upstream.host.replace(/%.*$/, ''));
  if (host === own.host) return true;
  if (host === '0.0.0.0' || host === '::') return true;
  if (own.host !== '0.0.0.0' && own.host !== '::') return false;
  return isOnThisHost(host);
}

export function fixedUpstreams(named: readonly Upstream[], own: Upstream): UpstreamSource {
  const upstreams = named.filter((upstream) => !leadsTo(own, upstream));
  return () => upstreams;
}

/**
 * Reads the file at most once a second, and only when it, or the one behind a stub, is not the file it was. A file that went away, or cannot be
 * read just now (it is being replaced), leaves what was known; so does one that now names this server alone, as a host
 * does whose names were just given to it, and a stub behind which nobody is named, as while it starts anew.
 */
export function resolvConfUpstreams(
  path: string,
  own: Upstream,
  logger: Logger,
  clock: () => number = () => performance.now(),
  behindStub: string = BEHIND_STUB,
): UpstreamSource {
  let known: readonly Upstream[] = [];
  let seen = '';
  let lookAgainAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock();
    if (now < lookAgainAt) return known;
    lookAgainAt = now + LOOK_AGAIN_MS;
    try {
      const stats = statSync(path);
      // Reading a pipe, for one, would wait for its writer.
      if (!stats.isFile()) throw new Error(`${path} is no file`);
      if (stats.size > MAX_FILE_BYTES) throw new Error(`${path} has more than ${MAX_FILE_BYTES} bytes`);
      const mark = `${markOf(path)} ${markOf(behindStub)}`;
      if (mark === seen) return known;
      const lines = parseResolvConf(readFileSync(path, 'utf8'));
      const stubbed = lines.some(isStub);
      const named = stubbed ? behind(lines, own, behindStub) : lines;
      const usable = named.filter((upstream) => !leadsTo(own, upstream)).slice(0, MAX_UPSTREAMS);
      seen = mark;
      const lost = usable.length === 0 ? lines.length > 0 : stubbed && usable.some(isStub);
      if (lost && known.length > 0 && !known.some(isStub)) {
        const kept = known.map(({ host }) => host);
        logger.warn(
          { event: 'dns-upstreams-kept', path: stubbed ? behindStub : path, upstreams: kept },
          'the file names this server alone, or nobody behind the stub; those that it named before are asked until it names others or this agent ends: keep them on further nameserver lines',
        );
        return known;
      }
      known = usable;
      const names = known.map(({ host }) => host);
      if (known.length > 0) logger.info({ event: 'dns-upstreams', path, upstreams: names }, 'resolvers read');
      else {
        logger.warn(
          { event: 'dns-no-upstream', path },
          'no resolver but this one: names outside internal fail; put the resolver of this network on a second nameserver line, or name it by --dns-upstream',
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

/** Changes with the file; empty where there is none. */
function markOf(path: string): string {
  const { mtimeMs = '', ino = '', size = '' } = statSync(path, { throwIfNoEntry: false }) ?? {};
  return `${mtimeMs}/${ino}/${size}`;
}

/** Whether it is systemd-resolved on this host. */
export function isStub({ host }: Pick<Upstream, 'host'>): boolean {
  return STUB_HOSTS.has(host);
}

/**
 * A stub may be told to ask this agent for `internal`, or for all: what it asks itself is asked here, and no circle closes. Its file
 * tells no ports, so this agent's own address is this agent. Where there is no such file the stub stays.
 */
function behind(named: readonly Upstream[], own: Upstream, path: string): readonly Upstream[] {
  try {
    const real = parseResolvConf(readFileSync(path, 'utf8')).filter(({ host }) => !leadsTo(own, { ...own, host }));
    return named.flatMap((upstream) => (isStub(upstream) ? real : [upstream]));
  } catch {
    return named;
  }
}
