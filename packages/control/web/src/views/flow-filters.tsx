import { useComputed } from '@preact/signals';
import { FLOW_FIELDS, FLOW_NAME_FILTERS, FLOW_OUTCOMES } from '@weft/proto/model';
import { Choice, Field } from '../parts/field.tsx';
import { type FilterField, filterOf } from '../state/flow-filter.ts';
import { useApp } from '../state/use.ts';

const MORE: readonly FilterField[] = ['host', ...FLOW_NAME_FILTERS, 'outcome', 'port'];

export function FlowFilters({ query }: { readonly query: Readonly<Record<string, string | undefined>> }) {
  const app = useApp();
  const { live } = app;
  const services = useComputed(() => [...live.services.value.keys()]);
  const hosts = useComputed(() => [...live.agents.value.keys()]);
  const sources = useComputed(() => ['internet', ...services.value, ...hosts.value.map((host) => `host:${host}`)]);
  const set = (field: FilterField, value: string): void => app.replace('flows', '', { ...query, [field]: value });
  const field = (name: FilterField, label: string, options: readonly string[]) => (
    <Field label={label} value={query[name] ?? ''} options={options} onValue={(value) => set(name, value)} />
  );
  const filtered = Object.keys(filterOf(query)).length > 0;
  return (
    <search class="filters flow-filters">
      {field('source', 'Source', sources.value)}
      {field('service', 'Destination', services.value)}
      <Choice
        label="Verdict"
        value={query.verdict ?? ''}
        onValue={(value) => set('verdict', value)}
        options={[
          ['', 'Any'],
          ['allow', 'allowed'],
          ['deny', 'denied'],
        ]}
      />
      <Field label="Text" type="search" search value={query.text ?? ''} onValue={(value) => set('text', value)} />
      <details class="more" open={MORE.some((name) => query[name] !== undefined)}>
        <summary>More filters</summary>
        <div class="filters">
          {field('host', 'Host', hosts.value)}
          {FLOW_NAME_FILTERS.map((name) => field(name, FLOW_FIELDS[name].label ?? name, []))}
          <Choice
            label="How it ended"
            value={query.outcome ?? ''}
            onValue={(value) => set('outcome', value)}
            options={[['', 'Any'], ...FLOW_OUTCOMES.map((outcome) => [outcome, outcome] as const)]}
          />
          {field('port', 'Port', [])}
        </div>
      </details>
      {filtered ? (
        <a class="button" href={app.link('flows', '', { mode: query.mode })}>
          Clear filter
        </a>
      ) : null}
    </search>
  );
}
