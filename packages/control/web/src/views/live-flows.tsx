/** The newest flows as they end. Only the rows in sight are drawn; to scroll or to choose a row stops the table. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { moveFocus } from '../parts/data-table.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty } from '../parts/notice.tsx';
import type { Filter } from '../state/flow-filter.ts';
import { counted, number } from '../state/format.ts';
import { listFlows } from '../state/kept-flows.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { FlowHead, FlowRow } from './flow-row.tsx';

/** Drawn above and below what is in sight. */
const MARGIN = 12;
/** Never more rows than these, however tall the screen. */
const MOST_ROWS = 200;
const USUAL_ROW_PX = 36;

export function LiveFlows({ filter }: { readonly filter: Filter }) {
  const app = useApp();
  const { flows } = app;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => () => flows.resume(), [flows]);
  useNewest(filter);
  const resume = (): void => {
    if (box.current !== null) box.current.scrollTop = 0;
    flows.resume();
  };
  const paused = flows.paused.value;
  return (
    <section aria-label="Live flows">
      <div class="row live-bar">
        <button type="button" class="button" onClick={paused ? resume : () => flows.pause()}>
          <Icon name={paused ? 'play' : 'pause'} />
          {paused ? 'Resume' : 'Pause'}
        </button>
        <span class="soft" role="status">
          {paused ? `Paused; ${counted(flows.waiting.value, 'flow')} ended meanwhile.` : 'Newest first.'}
        </span>
        <SampleSign />
      </div>
      {flows.shown.value.length === 0 ? <NoFlows filter={filter} /> : <Window box={box} />}
    </section>
  );
}

const NEWEST = 200;

/** Live events tell only of what ends from now on: what ended before, or while the connection was broken, is asked for. */
function useNewest(filter: Filter): void {
  const app = useApp();
  const network = app.network.value;
  const live = app.live.connection.value === 'live';
  const key = live ? `${network} ${JSON.stringify(filter)}` : undefined;
  const answer = useAnswer(key, (signal) => listFlows(app.api, network, { ...filter, pageSize: NEWEST }, signal));
  useEffect(() => {
    if (answer.value !== undefined) app.flows.add(answer.value.flows);
  }, [app, answer.value]);
}

function SampleSign() {
  const { sampled } = useApp().live;
  if (sampled.value === undefined) return null;
  const { shown, ended } = sampled.value;
  return (
    <span class="badge badge-warn">
      <Icon name="warn" />
      Showing {number(shown)} of {number(ended)} a second; history has them all
    </span>
  );
}

function NoFlows({ filter }: { readonly filter: Filter }) {
  const app = useApp();
  const filtered = Object.keys(filter).length > 0;
  if (filter.verdict === 'deny') {
    return (
      <Empty title="Nothing was denied.">
        <p>
          When a rule stops a call, it shows here with the rule's name. Try one on the{' '}
          <a href={app.link('policy')}>policy page</a>: “what if” answers without a call.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={filtered ? 'No flow of late passes the filter.' : 'No flow has ended yet.'}>
      <p>
        {filtered ? (
          <>
            Older ones may, in the <a href={app.link('flows', '', { ...filter, mode: 'history' })}>history</a>.
          </>
        ) : (
          <>
            A flow shows here when it ends. Call a service by its name from a host of the mesh, such as{' '}
            <code>curl http://web.internal:3000/</code>.
          </>
        )}
      </p>
    </Empty>
  );
}

function Window({ box }: { readonly box: { current: HTMLDivElement | null } }) {
  const app = useApp();
  const { flows } = app;
  const rows = flows.shown.value;
  const from = useSignal(0);
  const count = useSignal(40);
  const rowPx = useSignal(USUAL_ROW_PX);
  const active = useSignal(0);
  const measure = (): void => {
    const element = box.current;
    if (element === null) return;
    rowPx.value = element.querySelector<HTMLElement>('tbody tr[aria-rowindex]')?.offsetHeight || USUAL_ROW_PX;
    from.value = Math.max(0, Math.floor(element.scrollTop / rowPx.value) - MARGIN);
    count.value = Math.min(MOST_ROWS, Math.ceil(element.clientHeight / rowPx.value) + 2 * MARGIN);
  };
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    if (box.current !== null) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const first = Math.min(from.value, Math.max(0, rows.length - count.value));
  const drawn = rows.slice(first, first + count.value);
  const below = rows.length - first - drawn.length;
  const stop = drawn.some(({ cursor }) => cursor === active.value) ? active.value : drawn[0]?.cursor;
  const { query } = app.route.value;
  return (
    <div
      class="table-box flow-window"
      ref={box}
      onScroll={() => {
        if ((box.current?.scrollTop ?? 0) > 0) flows.pause();
        measure();
      }}
    >
      <table class="data flows" aria-rowcount={rows.length + 1}>
        <caption class="offscreen">Live flows, newest first</caption>
        <FlowHead />
        <tbody
          onKeyDown={(event) => moveFocus(event, event.currentTarget)}
          onFocusIn={(event) => {
            flows.pause();
            active.value = Number(event.target instanceof HTMLElement ? event.target.dataset.row : 0);
          }}
        >
          <Spacer px={first * rowPx.value} />
          {drawn.map((flow, index) => (
            <FlowRow
              key={flow.cursor}
              flow={flow}
              href={app.link('flows', '', { ...query, id: flow.id })}
              stop={flow.cursor === stop}
              index={first + index}
            />
          ))}
          <Spacer px={below * rowPx.value} />
        </tbody>
      </table>
    </div>
  );
}

/** Holds the place of rows that are not drawn. */
function Spacer({ px }: { readonly px: number }) {
  if (px === 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it takes the focus
    <tr aria-hidden="true" class="spacer">
      <td colSpan={9} style={{ height: `${px}px` }} />
    </tr>
  );
}
