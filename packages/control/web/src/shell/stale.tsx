/** Says that what is shown may be over. The page greys too (style sheet: `is-stale`). */
import { Icon } from '../parts/icon.tsx';
import { clock } from '../state/format.ts';
import { useApp } from '../state/use.ts';

export function StaleBanner() {
  const { live, refusal } = useApp();
  const stale = live.connection.value === 'stale';
  if (!stale && refusal.value === '') return null;
  return (
    <div class="stale-banner" role="alert">
      <Icon name="warn" />
      <span>
        {stale ? `Data is from ${clock(live.atMs.value)}; reconnecting…` : 'No live updates; trying again…'}
        {refusal.value === '' ? '' : ` Control says: ${refusal.value}.`}
      </span>
    </div>
  );
}
