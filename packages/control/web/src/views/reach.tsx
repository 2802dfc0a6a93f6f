/** Who may reach a service, by which rule; and of each caller, why. */
import { useSignal } from '@preact/signals';
import type { ReachJson } from '@weft/proto/messages';
import { formatPortRange } from '@weft/proto/model';
import type { ServiceView } from '../../../src/dashboard/api.ts';
import { VerdictBadge } from '../parts/badge.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { Answered, Empty } from '../parts/notice.tsx';
import { Told } from '../parts/told.tsx';
import type { Api } from '../state/api.ts';
import { everyPage, sourceOf, verdictOf } from '../state/calls.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { Explanation } from './explanation.tsx';
import { shortList } from './short-list.ts';

type Caller = ReturnType<typeof readCaller>;

async function listReach(api: Api, network: string, service: string, signal: AbortSignal): Promise<readonly Caller[]> {
  const reach = await everyPage(
    (pageToken) => api.call('listReach', { network, service, pageSize: 1_000, pageToken }, signal),
    (page) => page.reach,
  );
  return reach.map(readCaller);
}

function readCaller({ caller, ports = [], verdict, rule = '', reason = '' }: ReachJson) {
  return {
    source: sourceOf(caller),
    ports: ports.map(({ protocol, first = 0, last = 0 }) =>
      formatPortRange({ protocol: protocol === 'PROTOCOL_UDP' ? 'udp' : 'tcp', first, last }),
    ),
    verdict: verdictOf(verdict),
    rule,
    reason,
  };
}

export function Reach({ service }: { readonly service: ServiceView }) {
  const app = useApp();
  const network = app.network.value;
  // A new revision may change every verdict.
  const revision = app.live.network.value?.revision ?? 0;
  const answer = useAnswer(`${network} ${service.name} ${revision}`, (signal) =>
    listReach(app.api, network, service.name, signal),
  );
  return <Answered answer={answer}>{(callers) => <Callers service={service} callers={callers} />}</Answered>;
}

function Callers({ service, callers }: { readonly service: ServiceView; readonly callers: readonly Caller[] }) {
  const text = useSignal('');
  const why = useSignal<Caller | undefined>(undefined);
  const wanted = text.value.trim().toLowerCase();
  const found = callers.filter(({ source, rule }) => `${source} ${rule}`.toLowerCase().includes(wanted));
  return (
    <>
      <div class="filters">
        <Field
          label="Caller or rule"
          type="search"
          search
          value={text.value}
          onValue={(value) => {
            text.value = value;
          }}
        />
      </div>
      {found.length === 0 ? <Empty title="No caller is like that." /> : null}
      <div class="table-box">
        <table class="data cards">
          <caption class="offscreen">Who may reach {service.name}</caption>
          <thead>
            <tr>
              <th scope="col">Caller</th>
              <th scope="col">Verdict</th>
              <th scope="col">Ports</th>
              <th scope="col">Rule</th>
              <th scope="col">
                <span class="offscreen">Explanation</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map((caller) => (
              <tr key={`${caller.source} ${caller.rule} ${caller.ports.join()}`}>
                <th scope="row">{caller.source}</th>
                <td data-label="Verdict">
                  <VerdictBadge verdict={caller.verdict} />
                </td>
                <td data-label="Ports">{shortList(caller.ports)}</td>
                <td data-label="Rule">
                  <span class="mono">{caller.rule}</span>{' '}
                  <span class="soft">
                    <Told text={caller.reason} />
                  </span>
                </td>
                <td data-label="">
                  <button
                    type="button"
                    class="button-small"
                    aria-label={`Why, for ${caller.source}${caller.ports.length === 0 ? '' : ` to ${shortList(caller.ports)}`}?`}
                    onClick={() => {
                      why.value = caller;
                    }}
                  >
                    Why?
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {why.value === undefined ? null : (
        <Why
          service={service}
          caller={why.value}
          onClose={() => {
            why.value = undefined;
          }}
        />
      )}
    </>
  );
}

interface WhyProps {
  readonly service: ServiceView;
  readonly caller: Caller;
  readonly onClose: () => void;
}

function Why({ service, caller, onClose }: WhyProps) {
  const ports = caller.ports.length > 0 ? caller.ports : service.ports;
  const port = useSignal(firstOf(ports[0] ?? ''));
  return (
    <Dialog title={`${caller.source} → ${service.name}`} onClose={onClose}>
      {ports.length > 1 ? (
        <Choice
          label="Port"
          value={port.value}
          onValue={(value) => {
            port.value = value;
          }}
          options={ports.map((each) => [firstOf(each), each] as const)}
        />
      ) : null}
      <Explanation from={caller.source} to={`${service.name}:${port.value}`} />
    </Dialog>
  );
}

/** `8000-8010/tcp` is asked of by its first port. */
function firstOf(ports: string): string {
  return ports.replace(/-\d+/, '').replace(/\/tcp$/, '');
}
