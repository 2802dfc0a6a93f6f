/** The drawn part of a chart, by uPlot. Loaded only when a chart is shown. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type ChartSeries, clock, selectedRange, valueText } from './series.ts';

export interface PlotData {
  readonly startMs: readonly number[];
  readonly series: readonly ChartSeries[];
}

export interface Plot {
  update(data: PlotData): void;
  close(): void;
}

const height = 200;
/** Dashes beside colour, for those who do not tell the colours apart, and for a second series of a kind. */
const dashes = { allowed: [], denied: [6, 4], failed: [2, 3], bytes: [] } as const;
const secondDash = [9, 3, 2, 3];

export function makePlot(
  element: HTMLElement,
  first: PlotData,
  onSelectRange: ((fromMs: number, toMs: number) => void) | undefined,
): Plot {
  let data = first;
  let plot = draw(element, data, onSelectRange);
  const again = (): void => {
    plot.destroy();
    plot = draw(element, data, onSelectRange);
  };
  const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(1, element.clientWidth), height }));
  resize.observe(element);
  // Its canvas knows nothing of CSS variables: when the theme changes it is drawn anew.
  const theme = new MutationObserver(again);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme', 'class'] });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', again);
  return {
    update(next) {
      const isSame = shapeOf(next) === shapeOf(data);
      data = next;
      if (isSame) plot.setData(aligned(next));
      else again();
    },
    close() {
      resize.disconnect();
      theme.disconnect();
      scheme.removeEventListener('change', again);
      plot.destroy();
    },
  };
}

function shapeOf({ series }: PlotData): string {
  return series.map(({ label, kind }) => `${kind} ${label}`).join('\n');
}

function aligned({ startMs, series }: PlotData): uPlot.AlignedData {
  return [[...startMs], ...series.map(({ values }) => [...values])];
}

function draw(element: HTMLElement, data: PlotData, onSelectRange?: (fromMs: number, toMs: number) => void): uPlot {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim() || style.color;
  const axis = { stroke: colour('--text-soft'), font: `12px ${style.fontFamily}`, ticks: { stroke: colour('--line') } };
  const grid = { stroke: colour('--line'), width: 1 };
  const hasBytes = data.series.some(({ kind }) => kind === 'bytes');
  const hasCounts = data.series.some(({ kind }) => kind !== 'bytes');
  const fromZero: uPlot.Scale = { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] };
  const vertical = (scale: 'count' | 'bytes', side: 1 | 3): uPlot.Axis => ({
    ...axis,
    scale,
    side,
    size: 64,
    grid: side === 3 ? grid : { show: false },
    values: (_, splits) => splits.map((split) => valueText(scale === 'bytes' ? 'bytes' : 'allowed', split)),
  });
  const options: uPlot.Options = {
    width: Math.max(1, element.clientWidth),
    height,
    ms: 1,
    legend: { show: false },
    cursor: { drag: { x: onSelectRange !== undefined, y: false, setScale: false }, points: { size: 7 } },
    scales: { x: { time: true }, count: fromZero, bytes: fromZero },
    axes: [
      { ...axis, grid: { show: false }, space: 70, values: (_, splits) => splits.map((split) => clock(split)) },
      ...(hasCounts ? [vertical('count', 3)] : []),
      ...(hasBytes ? [vertical('bytes', hasCounts ? 1 : 3)] : []),
    ],
    series: [
      {},
      ...data.series.map(({ label, kind }, index) => {
        const isSecond = data.series.findIndex((other) => other.kind === kind) < index;
        const dash = isSecond ? secondDash : [...dashes[kind]];
        const stroke = colour(`--series-${kind}`);
        const line: uPlot.Series = { label, stroke, width: 2, dash, points: { show: false } };
        return { ...line, scale: kind === 'bytes' ? 'bytes' : 'count' };
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4 || onSelectRange === undefined) return;
          const range = selectedRange([...plot.data[0]], plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (range !== undefined) onSelectRange(range.fromMs, range.toMs);
        },
      ],
    },
  };
  return new uPlot(options, aligned(data), element);
}
