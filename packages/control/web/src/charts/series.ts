/** What a chart is told, and its columns in words: a summary for those who do not see it, and the rows of a table. */
import { bytesPerSecond } from '../map/rates.ts';

export type SeriesKind = 'allowed' | 'denied' | 'failed' | 'bytes';

export interface ChartSeries {
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly kind: SeriesKind;
}

const shortClock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const longClock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const number = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 });

export function clock(atMs: number, seconds = false): string {
  return (seconds ? longClock : shortClock).format(atMs);
}

export function valueText(kind: SeriesKind, value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return kind === 'bytes' ? bytesPerSecond(value).replace('/s', '') : number.format(value);
}

/** One sentence for each series: its sum, and its peak with its time. */
export function summary(label: string, startMs: readonly number[], series: readonly ChartSeries[]): string {
  const [first, last] = [startMs[0], startMs.at(-1)];
  if (first === undefined || last === undefined) return `${label}: nothing in this time.`;
  const parts = series.map(({ label: name, kind, values }) => {
    let [sum, peak, peakAt] = [0, -1, first];
    values.forEach((value, index) => {
      if (value === null) return;
      sum += value;
      if (value > peak) [peak, peakAt] = [value, startMs[index] ?? first];
    });
    if (sum === 0) return `${name}: none.`;
    return `${name}: ${valueText(kind, sum)} in all, most at ${clock(peakAt)} with ${valueText(kind, peak)}.`;
  });
  return `${label}, ${clock(first)} to ${clock(last)}. ${parts.join(' ')}`;
}

/** Where anything happened: times at which every series is zero are left out of the table. */
export function rowsWithValues(startMs: readonly number[], series: readonly ChartSeries[]): number[] {
  return startMs.flatMap((_, index) => (series.some(({ values }) => (values[index] ?? 0) !== 0) ? [index] : []));
}

/**
 * Times of a selection, in whole columns: from the start of the first that it touches to the end of the last. Undefined for
 * one that touches none.
 */
export function selectedRange(
  startMs: readonly number[],
  fromMs: number,
  toMs: number,
): { readonly fromMs: number; readonly toMs: number } | undefined {
  const [first, second] = startMs;
  const last = startMs.at(-1);
  if (first === undefined || last === undefined || toMs < first) return undefined;
  const width = second === undefined ? 60_000 : second - first;
  if (fromMs >= last + width) return undefined;
  const start = startMs.findLast((at) => at <= fromMs) ?? first;
  const end = (startMs.findLast((at) => at <= toMs) ?? first) + width;
  return { fromMs: start, toMs: end };
}
