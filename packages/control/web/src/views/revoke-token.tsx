import { useSignal } from '@preact/signals';
import { Dialog } from '../parts/dialog.tsx';
import { Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import type { Token } from '../state/tokens.ts';
import { useApp } from '../state/use.ts';

/** Says who goes with it before it does it. */
export function RevokeToken({ token, onClose }: { readonly token: Token; readonly onClose: () => void }) {
  const app = useApp();
  const problem = useSignal('');
  const asking = useSignal(false);
  const hosts = [...app.live.agents.value.values()]
    .filter(({ tokenId }) => tokenId === token.id)
    .map(({ host }) => host);
  const revoke = async (): Promise<void> => {
    asking.value = true;
    problem.value = '';
    try {
      app.revoked({ what: token.id, ...(await app.api.call('revokeToken', { tokenId: token.id })) });
      onClose();
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      asking.value = false;
    }
  };
  return (
    <Dialog title={`Revoke ${token.id}`} onClose={onClose}>
      <div class="stack">
        <p>Nobody can join with it any more.</p>
        <p>
          {hosts.length === 0
            ? 'No host joined with it.'
            : `The membership of each host that joined with it ends at once: ${hosts.join(', ')}.`}
        </p>
        {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
        <div class="row">
          <button type="button" class="button danger" disabled={asking.value} onClick={() => void revoke()}>
            Revoke
          </button>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </div>
    </Dialog>
  );
}
