/** weft check: whether this host is right, one line for each thing looked at, and what to do where it is not. */
import { lookAtAgent } from './check/agent.ts';
import { lookAtControls } from './check/control.ts';
import { lookAtExposure } from './check/exposure.ts';
import type { Finding } from './check/finding.ts';
import { lookAtDirectory, lookAtFiles, lookAtPorts } from './check/host.ts';
import { type Known, whatIsKnown } from './check/known.ts';
import { lookAtNames } from './check/names.ts';
import { lookAtPeers } from './check/peers.ts';
import { lookAtTargets } from './check/targets.ts';
import { lookAtUnit } from './check/unit.ts';
import { writeJson } from './json.ts';
import { defaultDirectory } from './paths.ts';
import { type Color, paint, printable, type Terminal } from './terminal.ts';

export interface CheckOptions {
  readonly data?: string;
  readonly json?: true;
}

/** Answers with the exit code: 4 where something is broken. */
export async function check(options: CheckOptions, terminal: Terminal, signal: AbortSignal): Promise<0 | 4> {
  const known = await whatIsKnown(options.data ?? defaultDirectory('weft', terminal.env), signal);
  const findings: Finding[] = [];
  for await (const found of looks(known, terminal.now, signal)) {
    findings.push(...found);
    if (options.json === undefined) for (const finding of found) terminal.out(`${line(finding, terminal)}\n`);
  }
  const broken = findings.filter(({ result }) => result === 'broken').length;
  if (options.json !== undefined) {
    const { network = '', host = '' } = known.agent ?? known.identity?.membership ?? {};
    writeJson(terminal, 'check', { network, host, broken, findings });
  } else terminal.out(broken === 0 ? 'nothing is broken\n' : `${broken} of ${findings.length} broken\n`);
  return broken === 0 ? 0 : 4;
}

/** In the order in which one thing rests on another. Those that wait for others are begun at once. */
async function* looks(known: Known, now: () => number, signal: AbortSignal): AsyncGenerator<readonly Finding[]> {
  const controls = lookAtControls(known, now, signal);
  const names = lookAtNames(known);
  const peers = lookAtPeers(known, signal);
  // Told when its turn comes.
  for (const each of [controls, names, peers]) each.catch(() => {});
  yield lookAtAgent(known);
  yield await controls;
  yield await names;
  yield lookAtPorts(known);
  yield await peers;
  yield lookAtTargets(known);
  yield lookAtExposure(known);
  yield [lookAtFiles(known)];
  yield lookAtDirectory(known);
  yield await lookAtUnit(known);
}

const COLORS = { ok: 'green', hint: 'yellow', unknown: 'dim', broken: 'red' } as const satisfies Record<
  Finding['result'],
  Color
>;

/** `broken   target     redis 6379: 127.0.0.1:6380: connection refused; start …`. */
function line({ area, subject, result, message, remedy }: Finding, terminal: Terminal): string {
  const words = [subject === '' ? message : `${subject}: ${message}`, remedy].filter((part) => part !== '').join('; ');
  return `${paint(terminal, COLORS[result], result)}${' '.repeat(9 - result.length)}${area.padEnd(11)}${printable(words)}`;
}
