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
  const token = tokens.value?.find((each) => own.includes(each.id) && joinTokenState(each, app.now.peek()) === 'valid');
  // With --with-token all of its tokens go, and each host that one of them made a member.
  const others = [...app.live.agents.value.values()].filter(
    ({ id, tokenId, earlierTokenIds }) => id !== agent.id && own.includes([tokenId, ...earlierTokenIds].at(-1) ?? ''),
  );
  const named = others.map(({ host }) => host).join(', ');
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
        {token !== undefined ? (
          <>
            <p>
              It joined with token <span class="mono">{token.id}</span>, with which others can still join under other
              names. {named === '' ? 'No other host joined with it.' : `These came by its tokens too: ${named}.`}
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
