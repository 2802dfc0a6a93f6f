/** Peers are started once; then every round runs every work over each of them, in an order of its own. */

import { messageOf } from '@weft/proto';
import { type Path, processesOf } from './path.ts';
import { withFront } from './peers/front.ts';
import type { LeftOut, Runs, Tried } from './result.ts';
import { checkRunning, type Stage } from './stage.ts';
import { roundOrder } from './statistics.ts';
import type { Length, Peer, Work } from './types.ts';
import { type Warmed, warmUp } from './warm.ts';

export interface Started {
  readonly paths: ReadonlyMap<string, Path>;
  /** As each says its own, by peer. */
  readonly versions: ReadonlyMap<string, string>;
  readonly leftOut: readonly LeftOut[];
  /** Peers that should have run here and did not. */
  readonly failures: readonly string[];
}

/** Told what happens, while it happens. */
export type Tell = (line: string) => void;

const words = (error: unknown): string => messageOf(error).trim().slice(0, 800);

export async function startPeers(
  stage: Stage,
  peers: readonly Peer[],
  signal: AbortSignal,
  tell: Tell,
): Promise<Started> {
  const paths = new Map<string, Path>();
  const versions = new Map<string, string>();
  const leftOut: LeftOut[] = [];
  const failures: string[] = [];
  for (const peer of peers) {
    const reason = peer.missing(stage);
    if (reason !== undefined) {
      leftOut.push({ name: peer.name, reason });
      continue;
    }
    tell(`starting ${peer.name}`);
    try {
      versions.set(peer.name, await peer.version(stage));
      paths.set(peer.name, await withFront(stage, peer.name, await peer.start(stage)));
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`${peer.name} did not start: ${words(error)}`);
    }
    signal.throwIfAborted();
  }
  return { paths, versions, leftOut, failures };
}

/** Works whose programs are here, and why the others are not run. Their servers are needed from then on. */
export function runnable(
  stage: Stage,
  works: readonly Work[],
): { works: readonly Work[]; leftOut: readonly LeftOut[] } {
  const leftOut: LeftOut[] = [];
  const kept = works.filter(({ name, programs, servers }) => {
    const without = programs.find((program) => !stage.installed(program));
    const absent = without ?? servers.map((server) => stage.lacks(server)).find((program) => program !== undefined);
    if (absent !== undefined) leftOut.push({ name, reason: `${absent} is not installed` });
    return absent === undefined;
  });
  stage.need(kept.flatMap(({ servers }) => servers));
  return { works: kept, leftOut };
}

/** Peers that one of the works is measured over. */
export function wanted(peers: readonly Peer[], works: readonly Work[]): readonly Peer[] {
  return peers.filter((peer) => peer.works === undefined || works.some(({ name }) => peer.works?.includes(name)));
}

export interface Plan {
  readonly peers: readonly Peer[];
  readonly works: readonly Work[];
  readonly paths: ReadonlyMap<string, Path>;
  readonly rounds: number;
  readonly length: Length;
  /** Whether peers that compile while they run are run before they are measured. */
  readonly warm: boolean;
}

interface Before {
  readonly warmed: readonly Warmed[];
  /** Told with what fails later: only a program that has just started may fail so. */
  readonly failures: readonly string[];
}

async function warm(stage: Stage, plan: Plan, runs: Runs, signal: AbortSignal, tell: Tell): Promise<Before> {
  const warmed: Warmed[] = [];
  const failures: string[] = [];
  for (const [work, byPeer] of runs) {
    for (const { name } of plan.peers.filter((peer) => peer.compiles && byPeer.has(peer.name))) {
      const path = plan.paths.get(name);
      if (path === undefined) continue;
      signal.throwIfAborted();
      tell(`before the first round: ${work.title}: ${name}`);
      try {
        warmed.push(await warmUp(stage, work, name, path, plan.length));
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${work.name} over ${name}, before the first round: ${words(error)}`);
      }
    }
  }
  return { warmed, failures };
}

export interface Ran extends Before {
  readonly runs: Runs;
}

export async function runRounds(stage: Stage, plan: Plan, signal: AbortSignal, tell: Tell): Promise<Ran> {
  const runs = new Map<Work, Map<string, Tried[]>>();
  for (const work of plan.works.filter(({ servers }) => !servers.some((name) => stage.failed.has(name)))) {
    const carriers = plan.peers
      .filter(({ works }) => works?.includes(work.name) ?? true)
      .map(({ name }) => name)
      .filter((name) => {
        const path = plan.paths.get(name);
        return path !== undefined && work.carriedBy(path, stage);
      });
    runs.set(work, new Map(carriers.map((name) => [name, []])));
  }
  const before = plan.warm ? await warm(stage, plan, runs, signal, tell) : { warmed: [], failures: [] };
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const [work, byPeer] of runs) {
      for (const [name, tries] of roundOrder([...byPeer], round)) {
        const path = plan.paths.get(name);
        if (path === undefined) continue;
        signal.throwIfAborted();
        tell(`round ${round + 1} of ${plan.rounds}: ${work.title}: ${name}`);
        try {
          checkRunning(path);
          const sample = await work.run(stage, path, plan.length);
          checkRunning(path);
          tries.push({ round, ...sample });
        } catch (error) {
          signal.throwIfAborted();
          tries.push({ round, error: words(error) });
        }
      }
    }
  }
  return { runs, ...before };
}

export async function stopPath(path: Path): Promise<void> {
  await Promise.all(processesOf(path).map((one) => one.stop()));
}
