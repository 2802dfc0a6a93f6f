/** The way to each host that a flow may go to or come from, tried by a tunnel from here. */
import { messageOf } from '@weft/proto';
import type { PeerFacts } from '../../observe/host-facts.ts';
import type { PingAnswer } from '../../observe/local-question.ts';
import { askAgent } from '../../observe/status-client.ts';
import { type Finding, findingsOf } from './finding.ts';
import type { Known } from './known.ts';

const { ok, hint, unknown, broken } = findingsOf('peer');

/** Longer than the agent waits for a dial and an answer. */
const ANSWER_MS = 8_000;
const AT_ONCE = 8;
/** A network may have thousands, and each that is tried leaves a tunnel. */
const MOST = 64;

export async function lookAtPeers({ directory, facts }: Known, signal: AbortSignal): Promise<readonly Finding[]> {
  if (facts === undefined) return [];
  // Those that run something, and are there, tell the most.
  const weight = ({ runs, up }: PeerFacts) => (up === true ? 2 : 0) + Math.min(1, runs.length);
  const peers = facts.peers.toSorted((one, other) => weight(other) - weight(one) || (one.host < other.host ? -1 : 1));
  const tried = peers.slice(0, MOST);
  const findings: Finding[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < tried.length; at = next++) {
      const peer = tried[at];
      if (peer !== undefined) findings[at] = await lookAtPeer(directory, peer, signal);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const more = peers.length - tried.length;
  if (more > 0) findings.push(unknown('', `${more} more were not tried; weft ping HOST tries one`));
  return findings;
}

async function lookAtPeer(directory: string, peer: PeerFacts, signal: AbortSignal): Promise<Finding> {
  signal.throwIfAborted();
  const { host, up } = peer;
  if (up === false)
    return hint(
      host,
      'its agent is off, or has no way to control, which does not hear it: not tried',
      `start it: weft up on ${host}; or try it: weft ping ${host}`,
    );
  try {
    const there = await ping(directory, host, true, signal);
    // What is lost once shows nothing.
    if ('path' in there)
      return passing(host, there.path.pathSize > 0 ? there : await ping(directory, host, true, signal));
    const back = await ping(directory, host, false, signal);
    if (!('path' in back)) return lost(peer, there.unreachable);
    return hint(
      host,
      `${milliseconds(back)} by a tunnel that ${host} has made, which may be the only way: ${there.unreachable}`,
      'one direction is enough; for both, let this host reach the port that the other has for tunnels',
    );
  } catch (error) {
    return unknown(host, `could not be tried: ${messageOf(error)}`);
  }
}

function passing(host: string, answer: PingAnswer): Finding {
  if (!('path' in answer)) return broken(host, answer.unreachable, REMEDY);
  const { address, accepted, pathSize } = answer.path;
  const back = accepted === 0 ? 'it has made no tunnel to here' : `it has made ${accepted} to here`;
  const way = `${milliseconds(answer)} to ${address}; ${back}`;
  if (pathSize > 0) return ok(host, `${way}; UDP passes, in packets of ${pathSize} B`);
  return hint(
    host,
    `${way}; UDP does not pass, so datagrams go inside the tunnel, where a lost packet holds up those behind it`,
    `let UDP to ${address} through, which is the port of the tunnels`,
  );
}

function lost({ host, runs }: PeerFacts, why: string): Finding {
  if (runs.length === 0)
    return hint(
      host,
      `${why}; no service runs there, and it makes the tunnel when it calls`,
      'nothing, where it can reach this host',
    );
  return broken(host, `${why}, so ${runs.join(', ')} cannot be called there`, REMEDY);
}

const REMEDY =
  'let TCP and UDP pass to the port that its agent has for tunnels (7410, or its --tunnel), in one direction at least; where it has another address for others: its weft up --advertise';

type Path = Extract<PingAnswer, { readonly path: unknown }>;

async function ping(directory: string, host: string, dialled: boolean, signal: AbortSignal): Promise<PingAnswer> {
  const answer = await askAgent<PingAnswer>(directory, { ask: 'ping', host, dialled }, ANSWER_MS, signal);
  if (answer === undefined) throw new Error('the agent has ended meanwhile');
  return answer;
}

function milliseconds({ path }: Path): string {
  return `${(path.roundTripUs / 1_000).toFixed(path.roundTripUs < 10_000 ? 2 : 1)} ms`;
}
