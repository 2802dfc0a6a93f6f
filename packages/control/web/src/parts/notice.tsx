/** What is told in place of data: an error, a wait, or why there is nothing yet. */
import type { ComponentChildren } from 'preact';
import type { Answer } from '../state/use.ts';
import { Icon } from './icon.tsx';

export function Problem({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="notice notice-bad" role="alert">
      <Icon name="warn" />
      <span>{children}</span>
    </p>
  );
}

/** Done, and likely a mistake. */
export function Warning({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="notice notice-warn" role="status">
      <Icon name="warn" />
      <span>{children}</span>
    </p>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export interface AnsweredProps<Value> {
  readonly answer: Answer<Value>;
  readonly children: (value: Value) => ComponentChildren;
}

/** The value once it is there; till then the wait, or the error and a way to try again. */
export function Answered<Value>({ answer, children }: AnsweredProps<Value>) {
  if (answer.value !== undefined) return <>{children(answer.value)}</>;
  if (answer.error === undefined) {
    return (
      <p class="waiting" role="status">
        Asking control…
      </p>
    );
  }
  return (
    <div class="failed">
      <Problem>{answer.error}</Problem>
      <button type="button" class="button" onClick={answer.again}>
        Try again
      </button>
    </div>
  );
}
