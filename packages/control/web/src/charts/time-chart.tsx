/** Values over time: drawn, in words, and as a table. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import './chart.css';
import type { Plot } from './plot.ts';
import { type ChartSeries, clock, rowsWithValues, selectedRange, summary, valueText } from './series.ts';

export interface TimeChartProps {
  readonly label: string;
  readonly startMs: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly onSelectRange?: (fromMs: number, toMs: number) => void;
}

export function TimeChart({ label, startMs, series, onSelectRange }: TimeChartProps): JSX.Element {
  const room = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | undefined>(undefined);
  // What is drawn and what is called may change while uPlot is still on its way, or later: the newest counts.
  const newest = useRef({ data: { startMs, series }, onSelectRange });
  newest.current = { data: { startMs, series }, onSelectRange };
  const failed = useSignal(false);
  const canSelect = onSelectRange !== undefined;

  useEffect(() => {
    let isGone = false;
    import('./plot.ts').then(
      ({ makePlot }) => {
        if (isGone || room.current === null) return;
        const select = (fromMs: number, toMs: number): void => newest.current.onSelectRange?.(fromMs, toMs);
        plot.current = makePlot(room.current, newest.current.data, canSelect ? select : undefined);
      },
      () => {
        failed.value = true;
      },
    );
    return () => {
      isGone = true;
      plot.current?.close();
      plot.current = undefined;
    };
  }, [canSelect]);
  useEffect(() => plot.current?.update({ startMs, series }), [startMs, series]);

  const text = useMemo(() => summary(label, startMs, series), [label, startMs, series]);
  return (
    <figure class="chart">
      <figcaption class="chart-caption">
        <span class="chart-title">{label}</span>
        {series.map(({ label: name, kind }, index) => (
          <span key={name} class="chart-key">
            <svg viewBox="0 0 22 8" width="22" height="8" aria-hidden="true">
              <path class={lineClass(series, kind, index)} d="M0 4H22" />
            </svg>
            {name}
          </span>
        ))}
      </figcaption>
      <div ref={room} class="chart-plot" role="img" aria-label={text} />
      {failed.value && <p>The drawing could not be loaded. Its numbers are in the table below.</p>}
      <Table label={label} startMs={startMs} series={series} onSelectRange={onSelectRange} />
    </figure>
  );
}

function lineClass(series: readonly ChartSeries[], kind: string, index: number): string {
  const isSecond = series.findIndex((other) => other.kind === kind) < index;
  return `chart-line-${kind}${isSecond ? ' chart-line-second' : ''}`;
}

interface TableProps extends Pick<TimeChartProps, 'label' | 'startMs' | 'series'> {
  readonly onSelectRange: TimeChartProps['onSelectRange'];
}

/** Built only once opened: its rows are many, and few look at them. */
function Table({ label, startMs, series, onSelectRange }: TableProps): JSX.Element {
  const isOpen = useSignal(false);
  return (
    <details
      class="chart-table"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>as a table</summary>
      {isOpen.value && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        <section class="chart-scroll" aria-label={`${label}, as a table`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                {series.map(({ label: name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rowsWithValues(startMs, series).map((index) => (
                <tr key={startMs[index]}>
                  <th scope="row">
                    <From atMs={startMs[index] ?? 0} startMs={startMs} onSelectRange={onSelectRange} />
                  </th>
                  {series.map(({ label: name, kind, values }) => (
                    <td key={name}>{valueText(kind, values[index])}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}

/** Chooses its stretch of time, which the drawing offers to the mouse alone. */
function From({
  atMs,
  startMs,
  onSelectRange,
}: Pick<TableProps, 'startMs' | 'onSelectRange'> & { readonly atMs: number }): JSX.Element {
  const words = clock(atMs, true);
  const range = selectedRange(startMs, atMs, atMs);
  if (onSelectRange === undefined || range === undefined) return <>{words}</>;
  return (
    <button
      type="button"
      class="chart-from"
      aria-label={`${words} to ${clock(range.toMs, true)}: list only its flows`}
      onClick={() => onSelectRange(range.fromMs, range.toMs)}
    >
      {words}
    </button>
  );
}
