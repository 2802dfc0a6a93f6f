import type { ProblemView } from '../../../src/dashboard/api.ts';
import { Icon } from '../parts/icon.tsx';
import { Told } from '../parts/told.tsx';
import { useApp } from '../state/use.ts';

/** What agents report. Nothing is shown when there is none. */
export function Problems({ problems }: { readonly problems: readonly ProblemView[] }) {
  const app = useApp();
  if (problems.length === 0) return null;
  return (
    <section class="problems" aria-label="Problems">
      <h2>Problems</h2>
      <ul class="plain-list">
        {problems.map(({ host, code, subject, message }) => (
          <li key={`${host} ${code} ${subject}`} class="notice notice-warn">
            <Icon name="warn" />
            <span>
              <a href={app.link('agents', host)}>{host}</a>: <Told text={message} />{' '}
              <span class="soft">
                (<Told text={`${code}, ${subject}`} />)
              </span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
