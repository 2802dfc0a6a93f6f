/** Which hosts a revocation has not reached, and which would forget it. Stands above the views: the host's own is gone by then. */
import { Dialog } from '../parts/dialog.tsx';
import { Problem } from '../parts/notice.tsx';
import { useApp } from '../state/use.ts';

export function Unkept() {
  const { unkept } = useApp();
  if (unkept.value === undefined) return null;
  const { what, stragglers = [], notKept = [] } = unkept.value;
  const close = (): void => {
    unkept.value = undefined;
  };
  return (
    <Dialog title={`${what} is revoked`} onClose={close}>
      <div class="stack">
        {notKept.length === 0 ? null : (
          <Problem>
            It is enforced, but not kept by: {notKept.join(', ')}. They cannot write it to their disk: started again
            without control, they would serve nothing until they hear it, or, where their disk takes no write at all,
            permit what was permitted before. Their pages show which.
          </Problem>
        )}
        {stragglers.length === 0 ? null : (
          <Problem>
            It is not enforced yet by: {stragglers.join(', ')}. It reaches them when they answer again; their pages show
            how far each is.
          </Problem>
        )}
        <button type="button" class="button primary" onClick={close}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
