/** How many things want attention, and each of them with the way to it. */
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { type Attention, attention } from '../state/attention.ts';
import { clock, number } from '../state/format.ts';
import { useApp } from '../state/use.ts';

export function useAttention(): readonly Attention[] {
  const { live } = useApp();
  return useComputed(() =>
    attention({
      network: live.network.value,
      services: live.services.value,
      agents: live.agents.value,
      traffic: live.traffic.value,
    }),
  ).value;
}

export function AttentionMenu() {
  const app = useApp();
  const things = useAttention();
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open.value) return undefined;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent) {
        if (event.key !== 'Escape') return;
        button.current?.focus();
      } else if (event.target instanceof Node && box.current?.contains(event.target) === true) return;
      open.value = false;
    };
    addEventListener('keydown', close);
    addEventListener('pointerdown', close);
    return () => {
      removeEventListener('keydown', close);
      removeEventListener('pointerdown', close);
    };
  }, [open.value]);
  if (app.live.network.value === undefined) return null;
  if (things.length === 0) {
    // Nobody knows how it is now.
    if (app.live.connection.value === 'stale') {
      return (
        <span class="attention attention-none attention-old">
          <Icon name="idle" />
          <span>All was well at {clock(app.live.atMs.value)}</span>
        </span>
      );
    }
    return (
      <span class="attention attention-none">
        <Icon name="good" />
        <span>All well</span>
      </span>
    );
  }
  const worst = things.some(({ severity }) => severity === 'bad') ? 'bad' : 'warn';
  return (
    <div class="attention" ref={box}>
      <button
        ref={button}
        type="button"
        class={`attention-button attention-${worst}`}
        aria-expanded={open.value}
        aria-controls="attention-list"
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <Icon name="warn" />
        <span class="attention-count">{number(things.length)}</span>
        <span class="attention-words">{things.length === 1 ? 'thing needs attention' : 'things need attention'}</span>
      </button>
      <div id="attention-list" class="attention-list" hidden={!open.value}>
        <AttentionList things={things} onOpen={() => (open.value = false)} />
      </div>
    </div>
  );
}

function AttentionList({ things, onOpen }: { readonly things: readonly Attention[]; readonly onOpen: () => void }) {
  return (
    <ul>
      {things.map(({ severity, text, href }) => (
        <li key={`${href} ${text}`}>
          <a href={href} class={`thing thing-${severity}`} onClick={onOpen}>
            <Icon name={severity} />
            <span>
              <span class="offscreen">{severity === 'bad' ? 'Wrong: ' : 'Warning: '}</span>
              {text}
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}
