/** Which part draws which view. Fetched when opened, so that the first view is there soon. */
import { lazy } from '../parts/lazy.tsx';

export const VIEW_COMPONENTS = {
  map: lazy(async () => (await import('../views/map.tsx')).MapView),
  services: lazy(async () => (await import('../views/services.tsx')).ServicesView),
  agents: lazy(async () => (await import('../views/agents.tsx')).AgentsView),
  flows: lazy(async () => (await import('../views/flows.tsx')).FlowsView),
  policy: lazy(async () => (await import('../views/policy.tsx')).PolicyView),
  tokens: lazy(async () => (await import('../views/tokens.tsx')).TokensView),
  audit: lazy(async () => (await import('../views/audit.tsx')).AuditListView),
} as const;
