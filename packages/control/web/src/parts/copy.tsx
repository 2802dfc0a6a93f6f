/** Puts a text on the clipboard, and says so. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { useApp } from '../state/use.ts';
import { Icon } from './icon.tsx';

const SHOWN_MS = 2_000;

/** `what` names the text for who cannot see which it stands beside. */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const app = useApp();
  const done = useSignal('');
  useEffect(() => {
    if (done.value === '') return undefined;
    const timer = setTimeout(() => {
      done.value = '';
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done.value]);
  const copy = async (): Promise<void> => {
    const copied = await toClipboard(text);
    done.value = copied ? 'Copied' : 'Select it and copy';
    app.say(copied ? `Copied ${what}` : 'This browser does not let the page copy');
  };
  return (
    <button type="button" class="button-small copy" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      <Icon name="copy" />
      <span>{done.value === '' ? 'Copy' : done.value}</span>
    </button>
  );
}

/** The clipboard's own interface is there only over HTTPS and on localhost; the old way serves elsewhere. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    // Inside an open dialog, what is outside of it cannot take the selection.
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}
