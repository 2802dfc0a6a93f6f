/** What ended: live as it comes, or over the time that control keeps. The filter and the open flow are in the address. */
import { useEffect } from 'preact/hooks';
import { filterOf } from '../state/flow-filter.ts';
import { useApp } from '../state/use.ts';
import { FlowFilters } from './flow-filters.tsx';
import { FlowHistoryView } from './flow-history.tsx';
import { FlowStory } from './flow-story.tsx';
import { LiveFlows } from './live-flows.tsx';

export function FlowsView() {
  const app = useApp();
  const { query } = app.route.value;
  const filter = filterOf(query);
  const past = query.mode === 'history';
  const asText = JSON.stringify(filter);
  useEffect(() => app.flows.filter(filter), [app, asText]);
  const { id, ...rest } = query;
  return (
    <>
      <div class="title-row">
        <h1>Flows</h1>
        <nav class="tabs" aria-label="Live or history">
          <a href={app.link('flows', '', { ...filter })} {...(past ? {} : { 'aria-current': 'page' as const })}>
            Live
          </a>
          <a
            href={app.link('flows', '', { ...filter, mode: 'history' })}
            {...(past ? { 'aria-current': 'page' as const } : {})}
          >
            History
          </a>
        </nav>
      </div>
      <FlowFilters query={query} />
      {past ? <FlowHistoryView filter={filter} query={query} /> : <LiveFlows filter={filter} />}
      {id === undefined ? null : <FlowStory key={id} id={id} onClose={() => app.replace('flows', '', rest)} />}
    </>
  );
}
