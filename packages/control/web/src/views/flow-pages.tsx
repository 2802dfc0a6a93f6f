/** Kept flows, newest first, a page at a time. */
import { useSignal } from '@preact/signals';
import type { FlowView } from '../../../src/dashboard/api.ts';
import { moveFocus } from '../parts/data-table.tsx';
import { Answered, Empty, Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import type { Filter } from '../state/flow-filter.ts';
import { counted } from '../state/format.ts';
import { type FlowPage, listFlows } from '../state/kept-flows.ts';
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
  const query = { ...filter, fromMs, toMs, pageSize: PAGE };
  const key = `${network} ${JSON.stringify(query)}`;
  const answer = useAnswer(key, (signal) => listFlows(app.api, network, query, signal));
  return (
    <Answered answer={answer}>
      {(page) => (
        <Pages key={key} first={page} older={(pageToken) => listFlows(app.api, network, { ...query, pageToken })} />
      )}
    </Answered>
  );
}

interface PagesProps {
  readonly first: FlowPage;
  readonly older: (pageToken: string) => Promise<FlowPage>;
}

function Pages({ first, older }: PagesProps) {
  const app = useApp();
  const flows = useSignal<readonly FlowView[]>(first.flows);
  const next = useSignal(first.older);
  const problem = useSignal('');
  const more = async (pageToken: string): Promise<void> => {
    problem.value = '';
    try {
      const page = await older(pageToken);
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
  const pageToken = next.value;
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
      {pageToken === '' ? (
        <p class="soft">That is all.</p>
      ) : flows.value.length >= MOST ? (
        <p class="soft">
          The newest {counted(MOST, 'flow')} are listed. Narrow the time or the filter, or ask <code>weft flows</code>.
        </p>
      ) : (
        <button type="button" class="button" onClick={() => void more(pageToken)}>
          Older
        </button>
      )}
    </>
  );
}
