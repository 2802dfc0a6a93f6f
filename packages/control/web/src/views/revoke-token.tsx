import { useSignal } from '@preact/signals';
import type { TokenView } from '../../../src/dashboard/api.ts';
import { Dialog } from '../parts/dialog.tsx';
import { Problem } from '../parts/notice.tsx';
import { messageOf } from '../state/app.ts';
import { useApp } from '../state/use.ts';

/** Says who goes with it before it does it. */
export function RevokeToken({ token, onClose }: { readonly token: TokenView; readonly onClose: () => void }) {
  const app = useApp();
  const problem = useSignal('');
  const hosts = [...app.live.agents.value.values()]
    .filter(({ tokenId }) => tokenId === token.id)
    .map(({ host }) => host);
  const revoke = async (): Promise<void> => {
    problem.value = '';
    try {
      await app.api.revokeToken(token.id);
      app.say(`Revoked ${token.id}`);
      onClose();
    } catch (error) {
      problem.value = messageOf(error);
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
          <button type="button" class="button danger" onClick={() => void revoke()}>
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
