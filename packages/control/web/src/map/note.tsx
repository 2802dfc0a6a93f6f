/** In words, at the foot of the map: what the pointer or the keyboard is at, or what is chosen. */
import type { JSX } from 'preact';
import type { MapSigns } from './controller.ts';
import { labelOf } from './spoken.tsx';

export function Note({ signs }: { readonly signs: MapSigns }): JSX.Element | null {
  const { hovered, focused, selected } = signs;
  const text = labelOf(signs, hovered.value) ?? labelOf(signs, focused.value) ?? labelOf(signs, selected.value);
  if (text === undefined) return null;
  const [title, ...facts] = text.split(/, |: /);
  return (
    <div class="map-note" aria-hidden="true">
      <strong>{title}</strong>
      {facts.length > 0 && <span>{facts.join(' · ')}</span>}
    </div>
  );
}
