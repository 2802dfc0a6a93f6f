/** Single keys that save the mouse. They can be turned off: speech input types letters by accident. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Dialog } from '../parts/dialog.tsx';
import { Tick } from '../parts/field.tsx';
import { Icon } from '../parts/icon.tsx';
import { useApp } from '../state/use.ts';
import { TITLES, viewsFor } from './navigation.tsx';

const KEY = 'weft-single-keys';

export function Shortcuts() {
  const app = useApp();
  const open = useSignal(false);
  const on = useSignal(localStorage.getItem(KEY) !== 'off');
  const views = viewsFor(app.session.value?.role);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (!on.value || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector('dialog[open]') !== null) return;
      const view = views[Number(event.key) - 1];
      if (event.key === '?') open.value = true;
      else if (event.key === '/') document.querySelector<HTMLElement>('[data-search]')?.focus();
      else if (view !== undefined) app.go(view);
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [app, views.length]);
  return (
    <>
      <button type="button" class="shortcuts-button button-small" onClick={() => (open.value = true)}>
        <Icon name="keyboard" />
        <span>Keys</span>
      </button>
      {open.value ? (
        <Dialog title="Keys" onClose={() => (open.value = false)}>
          <table class="keys">
            <caption class="offscreen">Keys and what they do</caption>
            <tbody>
              {views.map((view, index) => (
                <Key key={view} keys={`${index + 1}`} does={TITLES[view]} />
              ))}
              <Key keys="/" does="Go to the search" />
              <Key keys="?" does="These keys" />
              <Key keys="↑ ↓ Home End" does="In a table: from row to row" />
              <Key keys="Enter" does="Open the row" />
              <Key keys="Escape" does="Close what is open" />
            </tbody>
          </table>
          <Tick
            checked={on.value}
            onChecked={(checked) => {
              on.value = checked;
              localStorage.setItem(KEY, checked ? 'on' : 'off');
            }}
          >
            Single keys work
          </Tick>
        </Dialog>
      ) : null}
    </>
  );
}

function Key({ keys, does }: { readonly keys: string; readonly does: string }) {
  return (
    <tr>
      <th scope="row">
        <kbd>{keys}</kbd>
      </th>
      <td>{does}</td>
    </tr>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, select, textarea, [contenteditable]') !== null;
}
