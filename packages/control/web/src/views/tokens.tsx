import { useSignal } from '@preact/signals';
import { type JoinTokenState, joinTokenState } from '@weft/proto/model';
import { Badge, type Tone } from '../parts/badge.tsx';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Tick } from '../parts/field.tsx';
import { Answered, Empty } from '../parts/notice.tsx';
import { Ago, At } from '../parts/time.tsx';
import { number } from '../state/format.ts';
import { listTokens, type Token } from '../state/tokens.ts';
import { useAnswer, useApp } from '../state/use.ts';
import { CreateToken } from './create-token.tsx';
import { RevokeToken } from './revoke-token.tsx';

export function TokensView() {
  const app = useApp();
  const network = app.network.value;
  const creating = useSignal(false);
  const revoking = useSignal<Token | undefined>(undefined);
  const all = useSignal(false);
  const answer = useAnswer(`${network} ${all.value}`, (signal) =>
    listTokens(app.api, { network, all: all.value }, signal),
  );
  const columns: readonly Column<Token>[] = [
    { key: 'id', label: 'Token', cell: ({ id }) => <span class="mono">{id}</span>, sort: ({ id }) => id },
    { key: 'state', label: 'State', cell: (token) => <TokenState token={token} nowMs={app.now.peek()} /> },
    {
      key: 'services',
      label: 'Lets run',
      cell: ({ services, roles }) => [...services, ...roles.map((role) => `a ${role}`)].join(', ') || 'no service',
    },
    { key: 'host', label: 'Host', cell: ({ host }) => host || 'any', sort: ({ host }) => host },
    {
      key: 'how',
      label: 'How often',
      cell: ({ reusable, ephemeral }) => `${reusable ? 'again and again' : 'once'}${ephemeral ? ', ephemeral' : ''}`,
    },
    { key: 'uses', label: 'Used', numeric: true, cell: ({ uses }) => number(uses), sort: ({ uses }) => -uses },
    {
      key: 'created',
      label: 'Created',
      cell: ({ createdMs }) => <Ago atMs={createdMs} />,
      sort: ({ createdMs }) => -createdMs,
    },
    {
      key: 'expires',
      label: 'Expires',
      cell: ({ expiresMs }) => <At atMs={expiresMs} />,
      sort: ({ expiresMs }) => expiresMs,
    },
    {
      key: 'revoke',
      label: 'Revoke',
      cell: (token) =>
        token.revoked ? null : (
          <button
            type="button"
            class="button-small"
            aria-label={`Revoke ${token.id}`}
            onClick={() => (revoking.value = token)}
          >
            Revoke…
          </button>
        ),
    },
  ];
  return (
    <>
      <div class="title-row">
        <h1>Tokens</h1>
        <button type="button" class="button primary" onClick={() => (creating.value = true)}>
          Create a token…
        </button>
      </div>
      <p class="soft">With a token an agent joins the network, once or again and again.</p>
      <Tick checked={all.value} onChecked={(checked) => (all.value = checked)}>
        Show those too that nobody could join with for more than a day
      </Tick>
      <Answered answer={answer}>
        {(tokens) =>
          tokens.length === 0 ? (
            <Empty
              title={
                all.value ? 'There is no token.' : 'There is no token that somebody could join with in the last day.'
              }
            >
              <p>
                Create one here, or by <code>weft token create</code>, and start <code>weft up --join TOKEN</code> on
                the host.
              </p>
            </Empty>
          ) : (
            <DataTable caption="Tokens" columns={columns} rows={tokens} rowKey={({ id }) => id} />
          )
        }
      </Answered>
      {creating.value ? (
        <CreateToken
          onClose={() => {
            creating.value = false;
            answer.again();
          }}
        />
      ) : null}
      {revoking.value === undefined ? null : (
        <RevokeToken
          token={revoking.value}
          onClose={() => {
            revoking.value = undefined;
            answer.again();
          }}
        />
      )}
    </>
  );
}

const STATES: Readonly<Record<JoinTokenState, readonly [Tone, string]>> = {
  valid: ['good', 'usable'],
  used: ['idle', 'used up'],
  expired: ['idle', 'expired'],
  revoked: ['bad', 'revoked'],
};

function TokenState({ token, nowMs }: { readonly token: Token; readonly nowMs: number }) {
  if (token.replacedBy !== '') return <Badge tone="idle">replaced by {token.replacedBy}</Badge>;
  const [tone, words] = STATES[joinTokenState(token, nowMs)];
  return <Badge tone={tone}>{words}</Badge>;
}
