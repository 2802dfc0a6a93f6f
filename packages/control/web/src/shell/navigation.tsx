import { Icon } from '../parts/icon.tsx';
import { VIEWS, type ViewName } from '../state/route.ts';
import { useApp } from '../state/use.ts';

export const TITLES: Readonly<Record<ViewName, string>> = {
  map: 'Map',
  services: 'Services',
  agents: 'Agents',
  flows: 'Flows',
  policy: 'Policy',
  tokens: 'Tokens',
  audit: 'Audit',
};

/** What a role cannot open is not offered. */
export function viewsFor(role: 'read' | 'admin' | undefined): readonly ViewName[] {
  return role === 'admin' ? VIEWS : VIEWS.filter((view) => view !== 'tokens' && view !== 'audit');
}

/** Beside the header on a wide screen, a bar at the bottom on a narrow one. */
export function Navigation() {
  const app = useApp();
  const open = app.route.value.view;
  return (
    <nav class="navigation" aria-label="Views">
      <ul>
        {viewsFor(app.session.value?.role).map((view) => (
          <li key={view}>
            <a href={app.link(view)} {...(view === open ? { 'aria-current': 'page' as const } : {})}>
              <Icon name={view} />
              <span>{TITLES[view]}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
