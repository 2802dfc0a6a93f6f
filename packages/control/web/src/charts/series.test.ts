import { describe, expect, it } from 'vitest';
import { type ChartSeries, clock, rowsWithValues, selectedRange, summary, valueText } from './series.ts';

const startMs = [0, 60_000, 120_000];
const allowed: ChartSeries = { label: 'Allowed', kind: 'allowed', values: [1, 5, null] };
const denied: ChartSeries = { label: 'Denied', kind: 'denied', values: [0, 0, 0] };

describe('summary of a chart', () => {
  it('tells the sum and the peak of each series', () => {
    expect(summary('Flows', startMs, [allowed, denied])).toBe(
      `Flows, ${clock(0)} to ${clock(120_000)}. Allowed: 6 in all, most at ${clock(60_000)} with 5. Denied: none.`,
    );
  });
  it('says so when there is nothing', () => {
    expect(summary('Flows', [], [])).toBe('Flows: nothing in this time.');
  });
});

it('writes bytes with units and what is missing as a dash', () => {
  expect(valueText('bytes', 1_500_000)).toBe('1.5 MB');
  expect(valueText('allowed', 1500)).toBe('1,500');
  expect(valueText('denied', null)).toBe('–');
});

it('leaves out of the table what has no value', () => {
  expect(rowsWithValues(startMs, [allowed, denied])).toEqual([0, 1]);
});

describe('selected range', () => {
  it('is in whole columns', () => {
    expect(selectedRange(startMs, 10_000, 70_000)).toEqual({ fromMs: 0, toMs: 120_000 });
    expect(selectedRange(startMs, -5, 1)).toEqual({ fromMs: 0, toMs: 60_000 });
  });
  it('is none outside of the columns', () => {
    expect(selectedRange(startMs, 200_000, 300_000)).toBeUndefined();
    expect(selectedRange([], 0, 1)).toBeUndefined();
  });
});
