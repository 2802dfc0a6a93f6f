/** How views come by the page's state and by what control answers. */
import { type Signal, useSignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext, useEffect } from 'preact/hooks';
import type { App } from './app.ts';
import { messageOf } from './app.ts';

export const AppContext = createContext<App | undefined>(undefined);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error('no App above this view');
  return app;
}

export interface Answer<Value> {
  /** The newest one; stays while it is asked again. */
  readonly value: Value | undefined;
  readonly error: string | undefined;
  readonly waiting: boolean;
  again(): void;
}

interface Asked<Value> {
  readonly key: string;
  readonly value?: Value;
  readonly error?: string;
}

/** Asks whenever `key` changes; an undefined key asks nothing. An answer to an older key is never shown. */
export function useAnswer<Value>(key: string | undefined, ask: (signal: AbortSignal) => Promise<Value>): Answer<Value> {
  const asked: Signal<Asked<Value> | undefined> = useSignal(undefined);
  const turn = useSignal(0);
  const waiting = useSignal(true);
  useEffect(() => {
    if (key === undefined) return undefined;
    const abort = new AbortController();
    waiting.value = true;
    ask(abort.signal).then(
      (value) => {
        if (abort.signal.aborted) return;
        asked.value = { key, value };
        waiting.value = false;
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        asked.value = { key, error: messageOf(error) };
        waiting.value = false;
      },
    );
    return () => abort.abort();
  }, [key, turn.value]);
  const current = asked.value?.key === key ? asked.value : undefined;
  return {
    value: current?.value,
    error: current?.error,
    waiting: waiting.value,
    again: () => {
      turn.value += 1;
    },
  };
}
