/** The table for people. */
import type { LimitFigures } from './limits/measure.ts';
import type { LeftOut, PeerFigures, TargetFigures, WorkFigures } from './result.ts';

export interface Report {
  readonly quick: boolean;
  readonly rounds: number;
  readonly stage: string;
  readonly leftOut: readonly LeftOut[];
  readonly works: readonly WorkFigures[];
  readonly targets: readonly TargetFigures[];
  readonly limits: readonly LimitFigures[];
  readonly failures: readonly string[];
}

const NONE = '–';

/** Three digits that count, and no more than three decimals. */
export function figure(value: number | undefined): string {
  if (value === undefined) return NONE;
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

const times = (ratio: number | undefined): string => (ratio === undefined ? NONE : `${ratio.toFixed(2)}x`);

function range({ tries }: PeerFigures): string {
  const values = tries.flatMap((one) => ('error' in one ? [] : [one.value]));
  return values.length < 2 ? NONE : `${figure(Math.min(...values))} .. ${figure(Math.max(...values))}`;
}

function notes({ tries }: PeerFigures): string {
  const said = tries.flatMap((one) => ('error' in one ? ['failed'] : one.note === undefined ? [] : [one.note]));
  return [...new Set(said)].join('; ');
}

/** A table in Markdown, its columns of equal width: the first to the left, as the last one is, the others to the right. */
function columns([header = [], ...rows]: readonly (readonly string[])[]): readonly string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)));
  const toLeft = (column: number): boolean => column === 0 || column === header.length - 1;
  const line = (row: readonly string[]): string => {
    const cells = widths.map((width, column) => {
      const cell = (row[column] ?? '').replaceAll('|', '/');
      return toLeft(column) ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${cells.join(' | ')} |`;
  };
  const rule = widths.map((width, column) => (toLeft(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)];
}

function workTable(work: WorkFigures, every: readonly string[]): readonly string[] {
  const per = `CPU s/${work.cpuPer}`;
  const labels = [...new Set(work.peers.flatMap(({ beside }) => Object.keys(beside)))];
  const header = ['', work.unit, 'of rounds', 'weft/peer', ...labels, per, 'weft/peer', 'whole machine', ''];
  const rows = every.map((name) => {
    const peer = work.peers.find((one) => one.peer === name);
    if (peer === undefined) return [name, ...header.slice(2).map(() => NONE), ''];
    return [
      name,
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
  return [`### ${work.title} (${work.unit}, ${work.better} is better)`, '', ...columns([header, ...rows]), ''];
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
  return ['### To reach: Weft over the peer', '', ...columns([['', 'against', 'target', 'measured', ''], ...rows]), ''];
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
  return ['### Bounds', '', ...columns([['', 'measured', 'target', '', ''], ...rows]), ''];
}

export function renderReport(report: Report): string {
  const { quick, rounds, stage, leftOut, works, targets, limits, failures } = report;
  const every = [...new Set(works.flatMap(({ peers }) => peers.map(({ peer }) => peer)))];
  const lines = [
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${stage}; medians, and medians of the rounds' ratios`,
    ...(quick ? ['One short round: enough to see that everything works, too little to compare by.'] : []),
    '',
    ...works.flatMap((work) => workTable(work, every)),
    ...targetTable(targets),
    ...limitTable(limits),
    ...leftOut.map(({ name, reason }) => `left out: ${name}: ${reason}`),
    ...failures.map((failure) => `FAILED: ${failure}`),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
