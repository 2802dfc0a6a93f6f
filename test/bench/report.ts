/** What was measured, for people: Markdown, to be pasted. */
import type { LimitFigures } from './limits/measure.ts';
import { figure, NONE, table, times } from './markdown.ts';
import { comparedTables, coreTable, settingsTable } from './overview.ts';
import type { LeftOut, PeerFigures, TargetFigures, WorkFigures } from './result.ts';
import { sizingTable } from './sizing.ts';
import type { SurveyFigures } from './surveys/survey.ts';
import type { Warmed } from './warm.ts';

export interface Report {
  readonly quick: boolean;
  readonly rounds: number;
  readonly stage: string;
  /** By peer, as its program says; and by program of the servers and loads. */
  readonly versions: ReadonlyMap<string, string>;
  readonly loads: ReadonlyMap<string, string>;
  readonly leftOut: readonly LeftOut[];
  readonly works: readonly WorkFigures[];
  /** What was run before the first round. */
  readonly warmed: readonly Warmed[];
  readonly targets: readonly TargetFigures[];
  readonly limits: readonly LimitFigures[];
  readonly surveys: readonly SurveyFigures[];
  readonly failures: readonly string[];
}

function range({ tries }: PeerFigures): string {
  const values = tries.flatMap((one) => ('error' in one ? [] : [one.value]));
  return values.length < 2 ? NONE : `${figure(Math.min(...values))} .. ${figure(Math.max(...values))}`;
}

function notes({ tries }: PeerFigures): string {
  const said = tries.flatMap((one) => ('error' in one ? ['failed'] : one.note === undefined ? [] : [one.note]));
  return [...new Set(said)].join('; ');
}

function workTable(work: WorkFigures, versions: ReadonlyMap<string, string>): readonly string[] {
  const per = `CPU s/${work.cpuPer}`;
  const labels = [...new Set(work.peers.flatMap(({ beside }) => Object.keys(beside)))];
  const header = ['', work.unit, 'of rounds', 'weft/peer', ...labels, per, 'weft/peer', 'whole machine', ''];
  const rows = work.peers.map((peer) => {
    return [
      titled(peer.peer, versions),
      figure(peer.median),
      range(peer),
      times(peer.ratio),
      ...labels.map((label) => figure(peer.beside[label])),
      figure(peer.ownCpu),
      times(peer.cpuRatio),
      figure(peer.machineCpu),
      notes(peer),
    ];
  });
  return [`### ${work.title} (${work.unit}, ${work.better} is better)`, '', ...table([header, ...rows]), ''];
}

/** The peer with its version. */
function titled(peer: string, versions: ReadonlyMap<string, string>): string {
  const version = versions.get(peer);
  return version === undefined ? peer : `${peer} ${version}`;
}

/** What a peer that compiles while it runs takes at first, and from when on the rounds are measured. */
function warmedTable(warmed: readonly Warmed[], versions: ReadonlyMap<string, string>): readonly string[] {
  if (warmed.length === 0) return [];
  const rows = warmed.map(({ title, cpuPer, peer, runs, first, last }) => [
    title,
    titled(peer, versions),
    `${runs}`,
    figure(first),
    figure(last),
    cpuPer,
  ]);
  return [
    '### Before the first round: processor seconds of its own, both ends, of the first run and of the last',
    '',
    ...table([['', '', 'runs', 'first', 'last', 'per'], ...rows]),
    '',
  ];
}

function targetTable(targets: readonly TargetFigures[]): readonly string[] {
  if (targets.length === 0) return [];
  const rows = targets.map(({ title, peer, bound, ratio, measured, reached }) => [
    title,
    peer,
    `${bound} ${ratio}x`,
    times(measured),
    reached === undefined ? 'not measured' : reached ? 'reached' : 'SHORT',
  ]);
  return ['### To reach: Weft over the peer', '', ...table([['', 'against', 'target', 'measured', ''], ...rows]), ''];
}

function limitTable(limits: readonly LimitFigures[]): readonly string[] {
  if (limits.length === 0) return [];
  const rows = limits.map(({ name, target, value, unit, reached, detail }) => [
    name,
    value === undefined ? NONE : `${figure(value)} ${unit}`,
    target,
    reached === undefined ? 'not measured' : reached ? 'reached' : 'SHORT',
    detail,
  ]);
  return ['### Bounds', '', ...table([['', 'measured', 'target', '', ''], ...rows]), ''];
}

function surveyTable({ title, table: made, reason }: SurveyFigures): readonly string[] {
  if (made === undefined) return [`left out: ${title}: ${reason}`, ''];
  return [`### ${title}`, '', `${made.how}.`, '', ...table([made.header, ...made.rows]), ''];
}

export function renderReport(report: Report): string {
  const { quick, rounds, stage, versions, loads, leftOut, works, warmed, targets, limits, surveys, failures } = report;
  const programs = [...loads].map(([program, version]) => `${program} ${version}`);
  const lines = [
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${stage}; medians, and medians of the rounds' ratios`,
    ...(programs.length === 0 ? [] : [`servers and loads: ${programs.join(', ')}`]),
    ...(quick ? ['One short round: enough to see that everything works, too little to compare by.'] : []),
    '',
    ...comparedTables(works, (peer) => titled(peer, versions)),
    ...coreTable(works),
    ...settingsTable(works),
    ...sizingTable(works),
    ...warmedTable(warmed, versions),
    ...targetTable(targets),
    ...limitTable(limits),
    ...surveys.flatMap(surveyTable),
    ...works.filter(({ peers }) => peers.length > 0).flatMap((work) => workTable(work, versions)),
    ...leftOut.map(({ name, reason }) => `left out: ${name}: ${reason}`),
    ...failures.map((failure) => `FAILED: ${failure}`),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
