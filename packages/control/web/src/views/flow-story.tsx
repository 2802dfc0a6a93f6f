/** One flow, told in words, with what there is to ask next. */
import { useSignal } from '@preact/signals';
import { FLOW_COLUMNS, type FlowRecord, OUTCOMES } from '@weft/proto/model';
import { Fragment } from 'preact';
import type { FlowView } from '../../../src/dashboard/api.ts';
import { VerdictBadge } from '../parts/badge.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Answered, Empty } from '../parts/notice.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import { bytes, clock, duration } from '../state/format.ts';
import { listFlows } from '../state/kept-flows.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { Explanation } from './explanation.tsx';
import { FlowHead, FlowRow } from './flow-row.tsx';

export function FlowStory({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const app = useApp();
  const network = app.network.value;
  const live = app.flows.shown.peek().find((flow) => flow.id === id);
  const answer = useAnswer(live === undefined ? `${network} ${id}` : undefined, (signal) =>
    listFlows(app.api, network, { id, pageSize: 1 }, signal),
  );
  // Kept when the live table moves on while the dialog is open.
  const found = useSignal(live);
  return (
    <Dialog title="Flow" wide onClose={onClose}>
      {found.value !== undefined ? (
        <Story flow={found.value} />
      ) : (
        <Answered answer={answer}>
          {({ flows: [flow] }) =>
            flow === undefined ? <Empty title="Control keeps no flow of that id any more." /> : <Story flow={flow} />
          }
        </Answered>
      )}
    </Dialog>
  );
}

/** Told in the first sentence, or in words of their own. */
const TOLD: readonly (keyof FlowRecord)[] = [
  ...(['startedMs', 'source', 'service', 'instance', 'verdict', 'rule', 'revision'] as const),
  ...(['outcome', 'bytesSent', 'bytesReceived', 'detail'] as const),
];
const PLAIN = FLOW_COLUMNS.filter(({ name }) => !TOLD.includes(name));

function Story({ flow }: { readonly flow: FlowView }) {
  const explaining = useSignal(false);
  const to = `${flow.service}:${flow.port}${flow.protocol === 'udp' ? '/udp' : ''}`;
  const what = flow.protocol === 'udp' ? 'a UDP conversation' : 'a TCP connection';
  return (
    <div class="story">
      <p class="lead">
        <strong>{flow.source}</strong>
        {flow.sourceHost === '' ? '' : ` on ${flow.sourceHost}`} opened {what} to <strong>{to}</strong>
        {flow.destinationHost === '' ? '' : ` on ${flow.destinationHost}`} at {clock(flow.startedMs)}.{' '}
        {flow.verdict === 'allow' ? 'It was allowed' : 'It was denied'} by rule <code>{flow.rule}</code> as of revision{' '}
        {flow.revision}. {OUTCOMES[flow.outcome].sentence}
      </p>
      <dl class="facts">
        <dt>Verdict</dt>
        <dd>
          <VerdictBadge verdict={flow.verdict} />
        </dd>
        <dt>Started</dt>
        <dd>
          <At atMs={flow.startedMs} />
        </dd>
        <dt>Lasted</dt>
        <dd>{duration(flow.durationMs)}</dd>
        <dt>Sent by {flow.source}</dt>
        <dd>{bytes(flow.bytesSent)}</dd>
        <dt>Received by {flow.source}</dt>
        <dd>{bytes(flow.bytesReceived)}</dd>
        <dt>Instance</dt>
        <dd>{flow.instance || 'none was reached'}</dd>
        {PLAIN.map(({ name, label }) => (
          <Fragment key={name}>
            <dt>{label}</dt>
            <dd>{flow[name] || 'not known'}</dd>
          </Fragment>
        ))}
        <dt>Ended as</dt>
        <dd>{flow.outcome}</dd>
        {flow.detail === '' ? null : (
          <>
            <dt>Detail</dt>
            <dd>
              <Told text={flow.detail} />
            </dd>
          </>
        )}
        <dt>Flow</dt>
        <dd class="row">
          <span class="mono wrap">{flow.id}</span>
          <CopyButton text={flow.id} what="the flow's id" />
        </dd>
      </dl>
      {explaining.value ? (
        <section>
          <h3>The same call now</h3>
          <Explanation from={flow.source} to={to} />
        </section>
      ) : (
        <button type="button" class="button" onClick={() => (explaining.value = true)}>
          Explain this now
        </button>
      )}
      <Others flow={flow} />
    </div>
  );
}

/** The newest of the same source and service. */
function Others({ flow }: { readonly flow: FlowView }) {
  const app = useApp();
  const network = app.network.value;
  const { source, service } = flow;
  const answer = useAnswer(`${network} ${source} ${service} ${flow.id}`, (signal) =>
    listFlows(app.api, network, { source, service, pageSize: 11 }, signal),
  );
  return (
    <section>
      <h3>
        Other flows from {source} to {service}
      </h3>
      <Answered answer={answer}>
        {({ flows }) => {
          const others = flows.filter(({ cursor }) => cursor !== flow.cursor).slice(0, 10);
          if (others.length === 0) return <Empty title="None is kept." />;
          return (
            <>
              <div class="table-box">
                <table class="data flows">
                  <caption class="offscreen">
                    Other flows from {source} to {service}
                  </caption>
                  <FlowHead />
                  <tbody>
                    {others.map((other) => (
                      <FlowRow
                        key={other.cursor}
                        flow={other}
                        href={app.link('flows', '', { ...app.route.value.query, id: other.id })}
                        stop
                      />
                    ))}
                  </tbody>
                </table>
              </div>
              <p>
                <a href={app.link('flows', '', { source, service, mode: 'history' })}>All of them</a>
              </p>
            </>
          );
        }}
      </Answered>
    </section>
  );
}
