/** Control's answer to "may FROM reach TO, and would it work?", with its steps. */
import type { ProtocolJson, RuleOriginJson } from '@weft/proto/messages';
import { type BreakPoint, type Protocol, parseDestination } from '@weft/proto/model';
import { Badge, VerdictBadge } from '../parts/badge.tsx';
import { Answered } from '../parts/notice.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import type { Api } from '../state/api.ts';
import { callerOf, timeMs, verdictOf, word } from '../state/calls.ts';
import { useAnswer, useApp } from '../state/use.ts';

const BREAKS: Readonly<Record<BreakPoint, string>> = {
  none: 'nowhere: it would work',
  'no-such-source': 'at the caller: nobody is called that',
  'no-such-name': 'at the name: it does not resolve',
  denied: 'at the policy: it is denied',
  'no-listener': 'at the caller: its agent does not listen at the service’s address',
  'no-healthy-instance': 'at the instances: none is healthy',
  'not-listening': 'at the target: nothing listens on that port',
  unreachable: 'between the hosts: the other agent cannot be reached',
  'not-tried': 'nowhere that is known; whether it works was not tried',
  other: 'somewhere that this version does not know',
};

/** `to` is SERVICE:PORT[/udp]. */
export function Explanation({ from, to }: { readonly from: string; readonly to: string }) {
  const app = useApp();
  const network = app.network.value;
  // A new revision may change the answer.
  const revision = app.live.network.value?.revision ?? 0;
  const answer = useAnswer(`${network} ${from} ${to} ${revision}`, (signal) =>
    explain(app.api, network, from, to, signal),
  );
  return (
    <Answered answer={answer}>
      {({ breakPoint, refusedHosts, untriedHosts, steps, ...explained }) => (
        <div class="explanation" role="status">
          <p class="row">
            <VerdictBadge verdict={verdictOf(explained.verdict)} />
            <Outcome breakPoint={breakPoint} refused={refusedHosts.length > 0} />
          </p>
          <p>
            <Told text={explained.reason ?? ''} />
          </p>
          <dl class="facts">
            <dt>From, to</dt>
            <dd class="mono">
              {from} → {to}
            </dd>
            <dt>Rule</dt>
            <dd class="mono">{explained.rule}</dd>
            {explained.decidingRuleOrigin === undefined ? null : <Origin origin={explained.decidingRuleOrigin} />}
            <dt>Revision</dt>
            <dd>{explained.revision}</dd>
            <dt>Breaks</dt>
            <dd>
              {BREAKS[breakPoint]}
              {refusedHosts.length > 0 && `, but not from ${refusedHosts.join(', ')}`}
              {untriedHosts.length > 0 && `, but was not tried from ${untriedHosts.join(', ')}`}
            </dd>
          </dl>
          <h3>Step by step</h3>
          <ol class="steps">
            {steps.map((step, index) => (
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

/** Where the rule is written, and who set it when. */
function Origin({
  origin: { file = '', line = 0, revision, setTime, actor = {} },
}: {
  readonly origin: RuleOriginJson;
}) {
  const who = `${word('ACTOR_KIND', actor.kind, 'nobody')} ${actor.name ?? ''}`.trim();
  return (
    <>
      <dt>Written at</dt>
      <dd class="mono">{file === '' ? 'not known' : `${file}${line === 0 ? '' : `:${line}`}`}</dd>
      <dt>Set by</dt>
      <dd>
        {revision === undefined ? (
          'not known'
        ) : (
          <>
            <Told text={who} />, <At atMs={timeMs(setTime)} />, revision {revision}
          </>
        )}
      </dd>
    </>
  );
}

interface OutcomeProps {
  readonly breakPoint: BreakPoint;
  /** Some of the caller's hosts would be, though not all. */
  readonly refused: boolean;
}

function Outcome({ breakPoint, refused }: OutcomeProps) {
  if (breakPoint === 'not-tried') return <Badge tone="warn">not tried</Badge>;
  if (breakPoint !== 'none') return <Badge tone="bad">breaks</Badge>;
  return refused ? <Badge tone="warn">works in part</Badge> : <Badge tone="good">works</Badge>;
}

async function explain(api: Api, network: string, from: string, to: string, signal: AbortSignal) {
  // People paste what their programs are given.
  const { protocol, ...target } = parseDestination(to.replace(/\.internal\.?(?=:)/, ''));
  const asked = { network, from: callerOf(from), ...target, protocol: protocolName(protocol) };
  const {
    breakPoint,
    refusedHosts = [],
    untriedHosts = [],
    steps = [],
    ...told
  } = await api.call('explain', asked, signal);
  return { ...told, refusedHosts, untriedHosts, steps, breakPoint: word('BREAK_POINT', breakPoint, 'other') };
}

function protocolName(protocol: Protocol): ProtocolJson {
  return protocol === 'udp' ? 'PROTOCOL_UDP' : 'PROTOCOL_TCP';
}
