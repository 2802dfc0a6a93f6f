/** What each revision changed: in words, and line by line when asked for. */
import { useSignal } from '@preact/signals';
import type { RevisionView } from '../../../src/dashboard/api.ts';
import { lazy } from '../parts/lazy.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import { counted } from '../state/format.ts';

const SIGNS = { add: ['+', 'added'], change: ['~', 'changed'], remove: ['−', 'removed'] } as const;
/** Shown at once; older ones on demand. */
const SHOWN = 20;

const LineChanges = lazy(async () => (await import('./line-changes.tsx')).LineChanges);

export function Revisions({ revisions }: { readonly revisions: readonly RevisionView[] }) {
  const all = useSignal(false);
  const newestFirst = revisions.toSorted((left, right) => right.revision - left.revision);
  const shown = all.value ? newestFirst : newestFirst.slice(0, SHOWN);
  return (
    <>
      <ol class="plain-list revisions">
        {shown.map((revision, index) => (
          <li key={revision.revision}>
            <Revision revision={revision} before={newestFirst[index + 1]?.revision} />
          </li>
        ))}
      </ol>
      {shown.length < newestFirst.length ? (
        <button type="button" class="button" onClick={() => (all.value = true)}>
          {counted(newestFirst.length - shown.length, 'older revision')}
        </button>
      ) : null}
    </>
  );
}

interface RevisionProps {
  readonly revision: RevisionView;
  readonly before: number | undefined;
}

function Revision({ revision, before }: RevisionProps) {
  const open = useSignal(false);
  return (
    <details onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        <strong>{revision.revision}</strong>{' '}
        {revision.appliedMs === 0 ? 'before revisions were kept' : <At atMs={revision.appliedMs} />}{' '}
        <span class="soft">{counted(revision.changes.length, 'change')}</span>
      </summary>
      {revision.changes.length === 0 ? <p class="soft">It changed nothing that the mesh file tells.</p> : null}
      <ul class="changes">
        {revision.changes.map(({ operation, subject, detail }) => (
          <li key={`${operation} ${subject} ${detail}`} class={`change-${operation}`}>
            <span aria-hidden="true" class="change-sign">
              {SIGNS[operation][0]}
            </span>
            <span>
              <span class="offscreen">{SIGNS[operation][1]} </span>
              <strong>{subject}</strong> <Told text={detail} />
            </span>
          </li>
        ))}
      </ul>
      {open.value ? <LineChanges from={before} to={revision.revision} /> : null}
    </details>
  );
}
