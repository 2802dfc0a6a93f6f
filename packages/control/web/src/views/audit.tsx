import { useSignal } from '@preact/signals';
import type { AuditView } from '../../../src/dashboard/api.ts';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Answered, Empty, Problem } from '../parts/notice.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import { messageOf } from '../state/app.ts';
import { counted } from '../state/format.ts';
import { useAnswer, useApp } from '../state/use.ts';

/** So many, or all that there are, come in one answer; entries are numbered from 1. */
const PAGE = 200;

function isLast(entries: readonly AuditView[]): boolean {
  return entries.length < PAGE || entries.at(-1)?.sequence === 1;
}

const COLUMNS: readonly Column<AuditView>[] = [
  { key: 'at', label: 'When', cell: ({ atMs }) => <At atMs={atMs} />, sort: ({ sequence }) => -sequence },
  { key: 'actor', label: 'Who', cell: ({ actor }) => <Told text={actor} />, sort: ({ actor }) => actor },
  {
    key: 'action',
    label: 'Did',
    cell: ({ action }) => <span class="mono">{action}</span>,
    sort: ({ action }) => action,
  },
  {
    key: 'subject',
    label: 'To',
    cell: ({ subject }) => <Told text={subject || '–'} />,
    sort: ({ subject }) => subject,
  },
  { key: 'network', label: 'Network', cell: ({ network }) => network || '–', sort: ({ network }) => network },
  {
    key: 'revision',
    label: 'Revision',
    numeric: true,
    cell: ({ revision }) => revision || '–',
    sort: ({ revision }) => -revision,
  },
  { key: 'detail', label: 'Detail', cell: ({ detail }) => <Told text={detail} /> },
];

export function AuditListView() {
  const app = useApp();
  const answer = useAnswer('audit', (signal) => app.api.audit(undefined, signal));
  return (
    <>
      <h1>Audit</h1>
      <p class="soft">Who changed what, in all networks and in control itself; newest first.</p>
      <Answered answer={answer}>{(entries) => <Entries first={entries} />}</Answered>
    </>
  );
}

function Entries({ first }: { readonly first: readonly AuditView[] }) {
  const app = useApp();
  const entries = useSignal(first);
  const ended = useSignal(isLast(first));
  const problem = useSignal('');
  const oldest = entries.value.at(-1)?.sequence;
  const more = async (before: number): Promise<void> => {
    problem.value = '';
    try {
      const older = await app.api.audit(before);
      entries.value = [...entries.value, ...older];
      ended.value = isLast(older);
      app.say(`${counted(older.length, 'older entry', 'older entries')} listed`);
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  if (oldest === undefined) {
    return (
      <Empty title="Nothing was done yet.">
        <p>Applies, tokens, joins, revocations and sign-ins are written down here.</p>
      </Empty>
    );
  }
  return (
    <>
      <DataTable caption="Audit" columns={COLUMNS} rows={entries.value} rowKey={({ sequence }) => `${sequence}`} />
      {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
      {ended.value ? null : (
        <button type="button" class="button" onClick={() => void more(oldest)}>
          Older
        </button>
      )}
    </>
  );
}
