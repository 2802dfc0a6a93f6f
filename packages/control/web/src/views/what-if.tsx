/** Asks control whether a call would pass, without making it. */
import { useComputed, useSignal } from '@preact/signals';
import { Field } from '../parts/field.tsx';
import { useApp } from '../state/use.ts';
import { Explanation } from './explanation.tsx';

export function WhatIf() {
  const app = useApp();
  const { live } = app;
  const { query } = app.route.value;
  const from = useSignal(query.from ?? '');
  const to = useSignal(query.to ?? '');
  const wrong = useSignal('');
  const services = useComputed(() => [...live.services.value.values()]);
  const sources = useComputed(() => [
    'internet',
    ...services.value.map(({ name }) => name),
    ...[...live.agents.value.keys()].map((host) => `host:${host}`),
  ]);
  const destinations = useComputed(() =>
    services.value.flatMap(({ name, ports }) => ports.slice(0, 8).map((port) => `${name}:${firstPort(port)}`)),
  );
  const ask = (): void => {
    const target = to.value.trim();
    wrong.value = /^[^\s:]+:\d+(?:\/(?:tcp|udp))?$/.test(target) ? '' : 'Write it as SERVICE:PORT, such as redis:6379.';
    // In the address, so that the question can be sent to a colleague.
    if (wrong.value === '') app.replace('policy', '', { from: from.value.trim(), to: target });
  };
  return (
    <>
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          ask();
        }}
      >
        <Field
          label="From"
          search
          required
          value={from.value}
          options={sources.value}
          placeholder="web"
          hint="A service, host:NAME or internet"
          onValue={(value) => {
            from.value = value;
          }}
        />
        <Field
          label="To"
          required
          value={to.value}
          options={destinations.value}
          placeholder="redis:6379"
          hint="SERVICE:PORT, and /udp for datagrams"
          onValue={(value) => {
            to.value = value;
          }}
        />
        <button type="submit" class="button primary">
          What if?
        </button>
      </form>
      {wrong.value === '' ? null : (
        <p class="notice notice-bad" role="alert">
          {wrong.value}
        </p>
      )}
      {query.from === undefined || query.to === undefined ? null : <Explanation from={query.from} to={query.to} />}
    </>
  );
}

/** `8000-8010/udp` is asked of by its first port. */
function firstPort(ports: string): string {
  return ports.replace(/-\d+/, '').replace(/\/tcp$/, '');
}
