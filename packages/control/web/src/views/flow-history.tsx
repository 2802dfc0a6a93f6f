/** How many ended and how, over the time that control keeps; a stretch chosen on the chart narrows the table. */
import { useSignal } from '@preact/signals';
import { defined } from '@weft/proto/model';
import { useEffect } from 'preact/hooks';
import { Choice, Field } from '../parts/field.tsx';
import { lazy } from '../parts/lazy.tsx';
import { Answered } from '../parts/notice.tsx';
import { At } from '../parts/time.tsx';
import type { Filter } from '../state/flow-filter.ts';
import { bytes, counted, fieldTime } from '../state/format.ts';
import { filled } from '../state/history.ts';
import { countFlows, type FlowHistory } from '../state/kept-flows.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { FlowPages } from './flow-pages.tsx';

const SPANS: readonly (readonly [string, string])[] = [
  ['15', 'last 15 minutes'],
  ['60', 'last hour'],
  ['360', 'last 6 hours'],
  ['1440', 'last 24 hours'],
];
const BUCKETS = 120;

export interface FlowHistoryProps {
  readonly filter: Filter;
  readonly query: Readonly<Record<string, string | undefined>>;
}

export function FlowHistoryView({ filter, query }: FlowHistoryProps) {
  const app = useApp();
  const network = app.network.value;
  // The end stays where it is while it is looked at, or nothing could be read.
  const toMs = useSignal(app.now.peek());
  const minutes = SPANS.some(([value]) => value === query.span) ? Number(query.span) : 60;
  const fromMs = toMs.value - minutes * 60_000;
  const { source, service, verdict } = filter;
  const asked = { ...defined({ source, service, verdict }), fromMs, toMs: toMs.value };
  const answer = useAnswer(`${network} ${JSON.stringify(asked)}`, (signal) =>
    countFlows(app.api, network, asked, BUCKETS, signal),
  );
  const range = rangeOf(query);
  const set = (change: Readonly<Record<string, string | undefined>>): void =>
    app.replace('flows', '', { ...query, ...change });
  const select = (from: number, to: number): void => set({ from: `${Math.round(from)}`, to: `${Math.round(to)}` });
  const stretch = givenRange(query) ?? { fromMs, toMs: toMs.value };
  const uncounted = Object.keys(filter).some((field) => !['source', 'service', 'verdict'].includes(field));
  useEffect(() => {
    // Opened before the first event, the page's idea of control's clock is its own.
    if (app.live.connection.peek() === 'live') toMs.value = app.now.peek();
  }, []);
  return (
    <>
      <div class="filters">
        <Choice
          label="Over"
          value={`${minutes}`}
          options={SPANS}
          onValue={(span) => set({ span, from: undefined, to: undefined })}
        />
        <Moment label="From time" atMs={stretch.fromMs} onMoment={(atMs) => select(atMs, stretch.toMs)} />
        <Moment label="To time" atMs={stretch.toMs} onMoment={(atMs) => select(stretch.fromMs, atMs)} />
        <button
          type="button"
          class="button"
          onClick={() => {
            toMs.value = app.now.peek();
          }}
        >
          Up to now
        </button>
        {givenRange(query) === undefined ? null : (
          <button type="button" class="button" onClick={() => set({ from: undefined, to: undefined })}>
            All of the time
          </button>
        )}
      </div>
      <Answered answer={answer}>
        {(history) => <Charts history={history} fromMs={fromMs} toMs={toMs.value} onSelect={select} />}
      </Answered>
      {uncounted ? (
        <p class="soft">The charts count by source, destination and verdict; the table by the whole filter.</p>
      ) : null}
      <p class="soft">
        {stretch.fromMs >= stretch.toMs ? (
          'The stretch ends before it begins; all of the time is listed.'
        ) : range === undefined ? (
          'Choose a stretch on a chart, in its table, or by its times, to list only its flows.'
        ) : (
          <>
            Listed: <At atMs={range.fromMs} /> to <At atMs={range.toMs} />.
          </>
        )}
      </p>
      <FlowPages filter={filter} fromMs={range?.fromMs ?? fromMs} toMs={range?.toMs ?? toMs.value} />
    </>
  );
}

interface ChartsProps {
  readonly history: FlowHistory;
  readonly fromMs: number;
  readonly toMs: number;
  readonly onSelect: (fromMs: number, toMs: number) => void;
}

function Charts({ history, fromMs, toMs, onSelect }: ChartsProps) {
  const { startMs, buckets } = filled(history, fromMs, toMs);
  const total = buckets.reduce((sum, { allowed, denied, failed }) => sum + allowed + denied + failed, 0);
  const series = {
    flows: [
      { label: 'Allowed', kind: 'allowed' as const, values: buckets.map(({ allowed }) => allowed) },
      { label: 'Denied', kind: 'denied' as const, values: buckets.map(({ denied }) => denied) },
      { label: 'Failed', kind: 'failed' as const, values: buckets.map(({ failed }) => failed) },
    ],
    bytes: [
      { label: 'Sent', kind: 'bytes' as const, values: buckets.map(({ bytesSent }) => bytesSent) },
      { label: 'Received', kind: 'bytes' as const, values: buckets.map(({ bytesReceived }) => bytesReceived) },
    ],
  };
  return (
    <>
      <div class="columns charts">
        <Chart label="Flows that ended" startMs={startMs} series={series.flows} onSelectRange={onSelect} />
        <Chart label="Bytes of flows that ended" startMs={startMs} series={series.bytes} onSelectRange={onSelect} />
      </div>
      <p class="soft">
        {counted(total, 'flow')} in this time. Control keeps {counted(history.kept, 'record')} (
        {bytes(history.diskBytes)})
        {history.oldestMs === 0 ? null : (
          <>
            , the oldest of <At atMs={history.oldestMs} />
          </>
        )}
        .
      </p>
    </>
  );
}

const Chart = lazy(async () => (await import('../charts/time-chart.tsx')).TimeChart);

interface MomentProps {
  readonly label: string;
  readonly atMs: number;
  readonly onMoment: (atMs: number) => void;
}

/** What is not a whole time yet, while it is typed, changes nothing. */
function Moment({ label, atMs, onMoment }: MomentProps) {
  const given = (value: string): void => {
    const chosen = new Date(value).getTime();
    if (chosen >= 0) onMoment(chosen);
  };
  return <Field label={label} type="datetime-local" value={fieldTime(atMs)} onValue={given} />;
}

interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is listed; undefined when that is all of the time. */
function rangeOf(query: Readonly<Record<string, string | undefined>>): Range | undefined {
  const range = givenRange(query);
  return range !== undefined && range.fromMs < range.toMs ? range : undefined;
}

function givenRange({ from, to }: Readonly<Record<string, string | undefined>>): Range | undefined {
  const [fromMs, toMs] = [Number(from), Number(to)];
  return from !== undefined && to !== undefined && fromMs >= 0 && toMs >= 0 ? { fromMs, toMs } : undefined;
}
