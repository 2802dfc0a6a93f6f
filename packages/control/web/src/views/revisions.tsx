/** What each revision changed: in words, and line by line when asked for. */
import { useSignal } from '@preact/signals';
import type { RevisionJson } from '@weft/proto/messages';
import { lazy } from '../parts/lazy.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import type { Api } from '../state/api.ts';
import { everyPage, timeMs, word } from '../state/calls.ts';
import { counted } from '../state/format.ts';

const SIGNS = { add: ['+', 'added'], change: ['~', 'changed'], remove: ['−', 'removed'] } as const;
/** Shown at once; older ones on demand. */
const SHOWN = 20;

export type AppliedRevision = ReturnType<typeof readRevision>;

/** Newest first. */
export async function listRevisions(
  api: Api,
  network: string,
  signal: AbortSignal,
): Promise<readonly AppliedRevision[]> {
  const revisions = await everyPage(
    (pageToken) => api.call('listRevisions', { network, pageSize: 1_000, pageToken }, signal),
    (page) => page.revisions,
  );
  return revisions.map(readRevision);
}

function readRevision({ revision, applyTime, changes = [] }: RevisionJson) {
  return {
    revision: Number(revision),
    appliedMs: timeMs(applyTime),
    changes: changes.map(({ operation, subject = '', detail = '' }) => {
      return { operation: word('CHANGE_OPERATION', operation, 'change'), subject, detail };
    }),
  };
}

const LineChanges = lazy(async () => (await import('./line-changes.tsx')).LineChanges);

export function Revisions({ revisions }: { readonly revisions: readonly AppliedRevision[] }) {
  const all = useSignal(false);
  const shown = all.value ? revisions : revisions.slice(0, SHOWN);
  return (
    <>
      <ol class="plain-list revisions">
        {shown.map((revision, index) => (
          <li key={revision.revision}>
            <Revision revision={revision} before={revisions[index + 1]?.revision} />
          </li>
        ))}
      </ol>
      {shown.length < revisions.length ? (
        <button type="button" class="button" onClick={() => (all.value = true)}>
          {counted(revisions.length - shown.length, 'older revision')}
        </button>
      ) : null}
    </>
  );
}

interface RevisionProps {
  readonly revision: AppliedRevision;
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
