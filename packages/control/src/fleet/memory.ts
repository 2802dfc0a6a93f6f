/**
 * Where agents were and what they ran, kept over a restart of control. It is a help and no truth: without it, agents that
 * are slow to come back would lose their endpoints in everyone's netmap. So it is written now and then, and not synced.
 */
import { capabilityOf, messageOf, type Report } from '@weft/proto';
import { readFileNow, replaceFileNow } from '@weft/proto/files';
import { type pb, reportFromWire, reportToWire } from '@weft/proto/wire';
import type { Logger } from 'pino';

/** What an agent understands, when it was last heard, its last report, and the address that came from. */
export interface Remembered {
  readonly capability: number;
  /** 0 when never, or not known. */
  readonly lastSeenMs: number;
  /** Undefined when it has not reported yet. */
  readonly report: Report | undefined;
  readonly observedHost: string;
}

export interface ReportMemory {
  /** By agent id. */
  load(): ReadonlyMap<string, Remembered>;
  save(agents: ReadonlyMap<string, Remembered>): void;
}

/** Forgets at once. */
export const NO_MEMORY: ReportMemory = { load: () => new Map<string, Remembered>(), save: () => undefined };

/** Keeps them in one JSON file, mode 0600, replaced whole. */
export function fileMemory(path: string, logger: Logger): ReportMemory {
  return {
    load() {
      try {
        const text = readFileNow(path);
        if (text !== undefined) return parse(text);
      } catch (error) {
        logger.warn({ event: 'reports-unreadable', path, reason: messageOf(error) }, 'last reports are lost');
      }
      return new Map<string, Remembered>();
    },
    save(agents) {
      try {
        replaceFileNow(path, JSON.stringify(Array.from(agents, toJson)));
      } catch (error) {
        logger.warn({ event: 'reports-not-kept', path, err: error }, 'last reports could not be written');
      }
    },
  };
}

interface Line {
  readonly agent: string;
  readonly capability?: number;
  readonly lastSeenMs?: number;
  readonly observedHost: string;
  /** Without counters and problems, which mean nothing after a restart. Of one that has not reported it says nothing at all. */
  readonly report: pb.Outgoing<pb.Report>;
}

function toJson([agent, { report, observedHost, capability, lastSeenMs }]: readonly [string, Remembered]): Line {
  const kept = report === undefined ? {} : reportToWire({ ...report, problems: [], exposed: [], tunnels: 0, flows: 0 });
  return { agent, observedHost, capability, lastSeenMs, report: kept };
}

/** Anything out of form throws, and then nothing is believed. */
function parse(text: string): Map<string, Remembered> {
  const lines = JSON.parse(text) as readonly Line[];
  return new Map(
    lines.map(({ agent, observedHost, report, capability, lastSeenMs }) => [
      String(agent),
      {
        report: Object.keys(report).length === 0 ? undefined : reportFromWire(report),
        observedHost: String(observedHost),
        capability: capabilityOf(capability),
        lastSeenMs: Number.isSafeInteger(lastSeenMs) ? Math.max(0, Number(lastSeenMs)) : 0,
      },
    ]),
  );
}
