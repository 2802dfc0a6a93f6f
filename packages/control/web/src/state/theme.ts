/** Light or dark: as the system says until the reader chooses. Set on the root, where the style sheet looks. */
import { type ReadonlySignal, signal } from '@preact/signals';

export type Theme = 'light' | 'dark';

const KEY = 'weft-theme';

export class ThemeChoice {
  readonly #theme = signal<Theme>('light');

  get theme(): ReadonlySignal<Theme> {
    return this.#theme;
  }

  start(): void {
    const system = matchMedia('(prefers-color-scheme: dark)');
    const chosen = localStorage.getItem(KEY);
    this.#set(chosen === 'light' || chosen === 'dark' ? chosen : system.matches ? 'dark' : 'light');
    system.addEventListener('change', () => {
      if (localStorage.getItem(KEY) === null) this.#set(system.matches ? 'dark' : 'light');
    });
  }

  toggle(): void {
    const theme = this.#theme.value === 'dark' ? 'light' : 'dark';
    localStorage.setItem(KEY, theme);
    this.#set(theme);
  }

  #set(theme: Theme): void {
    this.#theme.value = theme;
    document.documentElement.dataset.theme = theme;
  }
}
