/** Kept flows, newest first, a page at a time. */
import { useSignal } from '@preact/signals';
import type { FlowPage, FlowView } from '../../../src/dashboard/api.ts';
import { moveFocus } from '../parts/data-table.tsx';
import { Answered, Empty, Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import { type Filter, toQuery } from '../state/flow-filter.ts';
import { counted } from '../state/format.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { FlowHead, FlowRow } from './flow-row.tsx';

const PAGE = 100;
/** More than this is for `weft flows`, not for a page. */
const MOST = 1_000;

export interface FlowPagesProps {
  readonly filter: Filter;
  readonly fromMs: number;
  readonly toMs: number;
}

export function FlowPages({ filter, fromMs, toMs }: FlowPagesProps) {
  const app = useApp();
  const network = app.network.value;
  const query = { ...toQuery(filter), fromMs: `${fromMs}`, toMs: `${toMs}`, limit: `${PAGE}` };
  const key = `${network} ${JSON.stringify(query)}`;
  const answer = useAnswer(key, (signal) => app.api.flows(network, query, signal));
  return (
    <Answered answer={answer}>
      {(page) => (
        <Pages key={key} first={page} older={(before) => app.api.flows(network, { ...query, before: `${before}` })} />
      )}
    </Answered>
  );
}

interface PagesProps {
  readonly first: FlowPage;
  readonly older: (before: number) => Promise<FlowPage>;
}

function Pages({ first, older }: PagesProps) {
  const app = useApp();
  const flows = useSignal<readonly FlowView[]>(first.flows);
  const next = useSignal(first.older);
  const problem = useSignal('');
  const more = async (before: number): Promise<void> => {
    problem.value = '';
    try {
      const page = await older(before);
      flows.value = [...flows.value, ...page.flows];
      next.value = page.older;
      app.say(`${counted(page.flows.length, 'older flow')} listed`);
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  if (flows.value.length === 0) {
    return (
      <Empty title="No kept flow is like that in this time.">
        <p>A flow is kept when it ends. Choose a longer time, or clear the filter.</p>
      </Empty>
    );
  }
  const { query } = app.route.value;
  const before = next.value;
  return (
    <>
      <div class="table-box">
        <table class="data flows">
          <caption class="offscreen">Kept flows, newest first</caption>
          <FlowHead withDay />
          <tbody onKeyDown={(event) => moveFocus(event, event.currentTarget)}>
            {flows.value.map((flow, index) => (
              <FlowRow
                key={flow.cursor}
                flow={flow}
                href={app.link('flows', '', { ...query, id: flow.id })}
                stop={index === 0}
                withDay
              />
            ))}
          </tbody>
        </table>
      </div>
      {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
      {before === undefined ? (
        <p class="soft">That is all.</p>
      ) : flows.value.length >= MOST ? (
        <p class="soft">
          The newest {counted(MOST, 'flow')} are listed. Narrow the time or the filter, or ask <code>weft flows</code>.
        </p>
      ) : (
        <button type="button" class="button" onClick={() => void more(before)}>
          Older
        </button>
      )}
    </>
  );
}
