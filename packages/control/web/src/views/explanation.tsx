/** Control's answer to "may FROM reach TO, and would it work?", with its steps. */
import type { ExplainView } from '../../../src/dashboard/api.ts';
import { Badge, VerdictBadge } from '../parts/badge.tsx';
import { Answered } from '../parts/notice.tsx';
import { Told } from '../parts/told.tsx';
import { useAnswer, useApp } from '../state/use.ts';

const BREAKS: Readonly<Record<ExplainView['breakPoint'], string>> = {
  none: 'nowhere: it would work',
  'no-such-source': 'at the caller: nobody is called that',
  'no-such-name': 'at the name: it does not resolve',
  denied: 'at the policy: it is denied',
  'no-listener': 'at the caller: its agent does not listen at the service’s address',
  'no-healthy-instance': 'at the instances: none is healthy',
  'not-listening': 'at the target: nothing listens on that port',
  unreachable: 'between the hosts: the other agent cannot be reached',
  other: 'somewhere that this version does not know',
};

/** `to` is SERVICE:PORT[/udp]. */
export function Explanation({ from, to }: { readonly from: string; readonly to: string }) {
  const app = useApp();
  const network = app.network.value;
  // A new revision may change the answer.
  const revision = app.live.network.value?.revision ?? 0;
  const answer = useAnswer(`${network} ${from} ${to} ${revision}`, (signal) =>
    app.api.explain(network, from, to, signal),
  );
  return (
    <Answered answer={answer}>
      {(explained) => (
        <div class="explanation" role="status">
          <p class="row">
            <VerdictBadge verdict={explained.verdict} />
            <Outcome explained={explained} />
          </p>
          <p>
            <Told text={explained.reason} />
          </p>
          <dl class="facts">
            <dt>From, to</dt>
            <dd class="mono">
              {from} → {to}
            </dd>
            <dt>Rule</dt>
            <dd class="mono">{explained.rule}</dd>
            <dt>Revision</dt>
            <dd>{explained.revision}</dd>
            <dt>Breaks</dt>
            <dd>
              {BREAKS[explained.breakPoint]}
              {explained.refusedHosts.length > 0 && `, but not from ${explained.refusedHosts.join(', ')}`}
            </dd>
          </dl>
          <h3>Step by step</h3>
          <ol class="steps">
            {explained.steps.map((step, index) => (
              <li key={index}>
                <Told text={step} />
              </li>
            ))}
          </ol>
        </div>
      )}
    </Answered>
  );
}

function Outcome({ explained: { breakPoint, refusedHosts } }: { readonly explained: ExplainView }) {
  if (breakPoint !== 'none') return <Badge tone="bad">breaks</Badge>;
  return refusedHosts.length === 0 ? <Badge tone="good">works</Badge> : <Badge tone="warn">works in part</Badge>;
}
