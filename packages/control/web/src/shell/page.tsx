/** The frame of the page, and what stands in it: the sign-in, the first steps, or the view that the address asks for. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Empty, Problem } from '../parts/notice.tsx';
import type { ViewName } from '../state/route.ts';
import type { ThemeChoice } from '../state/theme.ts';
import { useApp } from '../state/use.ts';
import { SignIn } from '../views/sign-in.tsx';
import { NobodyJoined, Start } from '../views/start.tsx';
import { Unkept } from '../views/unkept.tsx';
import { Header } from './header.tsx';
import { Navigation, TITLES } from './navigation.tsx';
import { Shortcuts } from './shortcuts.tsx';
import { StaleBanner } from './stale.tsx';
import { VIEW_COMPONENTS } from './view-components.ts';

export function Page({ theme }: { readonly theme: ThemeChoice }) {
  const app = useApp();
  const presence = app.presence.value;
  useEffect(() => {
    if (presence.kind !== 'away') return undefined;
    const again = setTimeout(() => void app.ask(), 3_000);
    return () => clearTimeout(again);
  }, [app, presence]);
  return (
    <>
      {presence.kind === 'in' ? <SignedIn theme={theme} /> : null}
      {presence.kind === 'out' ? <SignIn ended={presence.ended} theme={theme} /> : null}
      {presence.kind === 'away' ? (
        <main class="alone" id="main" tabIndex={-1}>
          <h1>Weft</h1>
          <Problem>{presence.message} This page tries again by itself.</Problem>
        </main>
      ) : null}
      <div class="offscreen" role="status" aria-live="polite">
        {app.said.value}
      </div>
    </>
  );
}

function SignedIn({ theme }: { readonly theme: ThemeChoice }) {
  const app = useApp();
  const { view, name } = app.route.value;
  const stale = app.live.connection.value === 'stale';
  useTitle(view, name);
  return (
    <div class={stale ? 'frame is-stale' : 'frame'}>
      <Header theme={theme} />
      <Navigation />
      <StaleBanner />
      <main id="main" class={`view view-${view}`} tabIndex={-1}>
        <Content view={view} />
      </main>
      <Shortcuts />
      <Unkept />
    </div>
  );
}

function Content({ view }: { readonly view: ViewName }): ComponentChildren {
  const app = useApp();
  const forAdmins = view === 'tokens' || view === 'audit';
  if (forAdmins && app.session.value?.role !== 'admin') {
    return (
      <>
        <h1>{TITLES[view]}</h1>
        <Empty title="Only admins see this.">
          <p>
            You are signed in with a token that reads. Sign out, and sign in with the one in <code>admin.token</code> in
            control's data directory.
          </p>
        </Empty>
      </>
    );
  }
  const noAgents = app.live.connection.value !== 'connecting' && app.live.agents.value.size === 0;
  const ofMesh = !forAdmins && view !== 'policy';
  const isEmpty = noAgents && app.live.services.value.size === 0;
  if (!forAdmins && (app.network.value === '' || (ofMesh && isEmpty))) return <Start />;
  const View = VIEW_COMPONENTS[view];
  return (
    <>
      {ofMesh && noAgents ? <NobodyJoined /> : null}
      <View key={`${view} ${app.network.value}`} />
    </>
  );
}

/** The title tells the view, and a new view takes the focus, as a new page would. */
function useTitle(view: ViewName, name: string): void {
  const shown = useRef<string>('');
  useEffect(() => {
    document.title = `${name === '' ? TITLES[view] : `${name} · ${TITLES[view]}`} · Weft`;
    const before = shown.current;
    shown.current = `${view} ${name}`;
    if (before === '') return;
    document.getElementById('main')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [view, name]);
}
