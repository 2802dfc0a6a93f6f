import { useSignal } from '@preact/signals';
import { Problem } from '../parts/notice.tsx';
import { ThemeButton } from '../shell/header.tsx';
import { RefusedError } from '../state/api.ts';
import { messageOf } from '../state/app.ts';
import type { ThemeChoice } from '../state/theme.ts';
import { useApp } from '../state/use.ts';

/** The view that was open stays in the address, and is there again after the sign-in. */
export function SignIn({ ended, theme }: { readonly ended: boolean; readonly theme: ThemeChoice }) {
  const app = useApp();
  const token = useSignal('');
  const problem = useSignal('');
  const asking = useSignal(false);
  const signIn = async (): Promise<void> => {
    asking.value = true;
    problem.value = '';
    try {
      const session = await app.api.signIn(token.value.trim());
      token.value = '';
      app.enter(session);
    } catch (error) {
      problem.value = told(error);
    } finally {
      asking.value = false;
    }
  };
  return (
    <main class="alone" id="main" tabIndex={-1}>
      <div class="alone-head">
        <h1>Sign in to Weft</h1>
        <ThemeButton theme={theme} />
      </div>
      {ended ? <p class="notice notice-warn">Your session ended. Sign in to go on where you were.</p> : null}
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void signIn();
        }}
      >
        <div class="field">
          <label for="token">Token</label>
          <input
            id="token"
            type="password"
            autocomplete="off"
            required
            value={token.value}
            aria-describedby="token-hint"
            aria-invalid={problem.value !== ''}
            onInput={(event) => {
              token.value = event.currentTarget.value;
            }}
          />
          <p class="hint" id="token-hint">
            The content of <code>DIR/admin.token</code> on control's host, where DIR is its <code>--data</code>{' '}
            directory; <code>DIR/read.token</code> sees all but tokens and the audit, and changes nothing.
          </p>
        </div>
        {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
        <button type="submit" class="button primary" disabled={asking.value}>
          {asking.value ? 'Asking control…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

function told(error: unknown): string {
  if (error instanceof RefusedError && error.code === 'token-wrong') {
    return "Control does not know that token. Copy the whole line of the file, and mind which control's it is.";
  }
  return messageOf(error);
}
