import { useSignal } from '@preact/signals';
import { joinTokenState } from '@weft/proto/model';
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Dialog } from '../parts/dialog.tsx';
import { Field, Tick } from '../parts/field.tsx';
import { Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import { listTokens } from '../state/tokens.ts';
import { useAnswer, useApp } from '../state/use.ts';

/** Cannot be undone, so the host's name has to be typed. */
export function RevokeAgent({ agent, onClose }: { readonly agent: AgentView; readonly onClose: () => void }) {
  const app = useApp();
  const typed = useSignal('');
  const problem = useSignal('');
  const asking = useSignal(false);
  const withToken = useSignal(false);
  const network = app.network.value;
  const tokens = useAnswer(network, (signal) => listTokens(app.api, { network }, signal));
  const own = [agent.tokenId, ...agent.earlierTokenIds];
  const admitting = (tokens.value ?? []).filter(
    (each) => own.includes(each.id) && joinTokenState(each, app.now.peek()) === 'valid',
  );
  // With --with-token all of its tokens go, and each host that one of them made a member.
  const ended: string[] = [];
  const narrowed: string[] = [];
  for (const { id, host, tokenId, earlierTokenIds } of app.live.agents.value.values()) {
    if (id === agent.id) continue;
    const tokens = [tokenId, ...earlierTokenIds];
    if (own.includes(tokens.at(-1) ?? '')) ended.push(host);
    else if (tokens.some((each) => own.includes(each))) narrowed.push(host);
  }
  const named = ended.join(', ');
  const revoke = async (): Promise<void> => {
    asking.value = true;
    problem.value = '';
    try {
      const answer = await app.api.call('revokeAgent', { agent: agent.id, withToken: withToken.value });
      app.revoked({ what: agent.host, ...answer });
      onClose();
      if (app.route.value.name === agent.host) app.go('agents');
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      asking.value = false;
    }
  };
  return (
    <Dialog title={`Revoke ${agent.host}`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void revoke();
        }}
      >
        <p>
          Its tunnels and flows are cut at once, and it can only come back with a new token. What runs on it is no
          longer reached: {agent.services.join(', ') || 'no service'}.
        </p>
        {admitting.length > 0 ? (
          <>
            <p>
              It joined with <span class="mono">{admitting.map(({ id }) => id).join(', ')}</span>, with which others can
              still join under other names.{' '}
              {named === '' ? 'No other host came by its tokens.' : `These came by its tokens too: ${named}.`}{' '}
              {narrowed.length === 0
                ? ''
                : `To these they only added, which would lose what nothing else gives them: ${narrowed.join(', ')}.`}
            </p>
            <Tick
              checked={withToken.value}
              onChecked={(checked) => {
                withToken.value = checked;
              }}
            >
              Revoke its tokens too{named === '' ? '' : ', and end those hosts'}
            </Tick>
          </>
        ) : null}
        <Field
          label={`Type ${agent.host} to confirm`}
          value={typed.value}
          required
          onValue={(value) => {
            typed.value = value;
          }}
        />
        {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
        <div class="row">
          <button type="submit" class="button danger" disabled={typed.value !== agent.host || asking.value}>
            Revoke
          </button>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
