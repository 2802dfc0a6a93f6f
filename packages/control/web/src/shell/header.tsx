/** Which network, how fresh, what wants attention, who is signed in. */
import { useId } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import type { ThemeChoice } from '../state/theme.ts';
import { useApp } from '../state/use.ts';
import { AttentionMenu } from './attention-menu.tsx';

export function Header({ theme }: { readonly theme: ThemeChoice }) {
  const app = useApp();
  const role = app.session.value?.role;
  return (
    <header class="header">
      {/* No link: what stands after # in the address is the view. */}
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <a class="brand" href={app.link('map')}>
        <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false" class="brand-sign">
          <rect width="32" height="32" rx="7" />
          <path d="M7 9l4.5 14L16 11l4.5 12L25 9" />
        </svg>
        <span class="brand-name">Weft</span>
      </a>
      <NetworkSwitch />
      <LiveSign />
      <AttentionMenu />
      <div class="header-end">
        <ThemeButton theme={theme} />
        <span class="role">{role}</span>
        <button
          type="button"
          class="button-icon"
          aria-label="Sign out"
          title="Sign out"
          onClick={() => void app.signOut()}
        >
          <Icon name="out" />
        </button>
      </div>
    </header>
  );
}

export function ThemeButton({ theme }: { readonly theme: ThemeChoice }) {
  const dark = theme.theme.value === 'dark';
  const words = dark ? 'Light colours' : 'Dark colours';
  return (
    <button type="button" class="button-icon" aria-label={words} title={words} onClick={() => theme.toggle()}>
      <Icon name={dark ? 'sun' : 'moon'} />
    </button>
  );
}

function NetworkSwitch() {
  const app = useApp();
  const id = useId();
  const networks = app.session.value?.networks ?? [];
  if (networks.length === 0) return null;
  if (networks.length === 1) return <span class="network-name">{networks[0]}</span>;
  return (
    <span class="network-switch">
      <label class="offscreen" for={id}>
        Network
      </label>
      <select
        id={id}
        value={app.network.value}
        onChange={(event) => {
          // A service or host of one network is none of another's: only the view stays.
          app.go(app.route.value.view, '', { network: event.currentTarget.value });
        }}
      >
        {networks.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}

const WORDS = { connecting: 'Connecting', live: 'Live', stale: 'Stale' } as const;

function LiveSign() {
  const app = useApp();
  if (app.network.value === '') return null;
  const connection = app.live.connection.value;
  return (
    <span class={`live-sign live-${connection}`} role="status">
      <span class="live-dot" aria-hidden="true" />
      <span class={connection === 'live' ? 'live-word' : ''}>{WORDS[connection]}</span>
    </span>
  );
}
