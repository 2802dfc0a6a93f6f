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
  const hosts: string[] = [];
  const added: string[] = [];
  for (const { host, tokenId, earlierTokenIds } of app.live.agents.value.values()) {
    const tokens = [tokenId, ...earlierTokenIds];
    // The first made it a member; later ones added to what it may do.
    if (tokens.at(-1) === token.id) hosts.push(host);
    else if (tokens.includes(token.id)) added.push(host);
  }
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
            ? 'No host came by it.'
            : `The membership of each host that came by it ends at once: ${hosts.join(', ')}.`}
        </p>
        {added.length === 0 ? null : (
          <p>It had only added to {added.join(', ')}: what nothing else gives them they lose, and stay.</p>
        )}
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
