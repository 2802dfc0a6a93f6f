import { useSignal } from '@preact/signals';
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Dialog } from '../parts/dialog.tsx';
import { Field } from '../parts/field.tsx';
import { Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import { useApp } from '../state/use.ts';

/** Cannot be undone, so the host's name has to be typed. */
export function RevokeAgent({ agent, onClose }: { readonly agent: AgentView; readonly onClose: () => void }) {
  const app = useApp();
  const typed = useSignal('');
  const problem = useSignal('');
  const asking = useSignal(false);
  const revoke = async (): Promise<void> => {
    asking.value = true;
    problem.value = '';
    try {
      await app.api.revokeAgent(agent.id);
      app.say(`Revoked ${agent.host}`);
      onClose();
      app.go('agents');
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
