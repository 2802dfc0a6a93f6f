import type { ComponentChildren } from 'preact';

export interface ScrollBoxProps {
  readonly label: string;
  readonly look: string;
  readonly children: ComponentChildren;
}

/** Text that may be too long for its box: it scrolls, by the keyboard too. */
export function ScrollBox({ label, look, children }: ScrollBoxProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without the focus, keys could not scroll it
    <section class={`scroll-box ${look}`} tabIndex={0} aria-label={label}>
      <pre>{children}</pre>
    </section>
  );
}
