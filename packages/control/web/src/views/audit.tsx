import { useSignal } from '@preact/signals';
import type { AuditEntryJson } from '@weft/proto/messages';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Answered, Empty, Problem } from '../parts/notice.tsx';
import { At } from '../parts/time.tsx';
import { Told } from '../parts/told.tsx';
import type { Api } from '../state/api.ts';
import { messageOf } from '../state/app.ts';
import { timeMs, word } from '../state/calls.ts';
import { counted } from '../state/format.ts';
import { useAnswer, useApp } from '../state/use.ts';

const PAGE = 200;

type Entry = ReturnType<typeof readEntry>;

interface Page {
  readonly entries: readonly Entry[];
  /** Of the older ones; empty when there are none. */
  readonly older: string;
}

async function askPage(api: Api, pageToken: string, signal?: AbortSignal): Promise<Page> {
  const { entries = [], nextPageToken = '' } = await api.call('listAudit', { pageSize: PAGE, pageToken }, signal);
  return { entries: entries.map(readEntry), older: nextPageToken };
}

function readEntry({ sequence, time, actor = {}, action, network, subject, revision, detail }: AuditEntryJson) {
  return {
    sequence: Number(sequence),
    atMs: timeMs(time),
    actor: `${word('ACTOR_KIND', actor.kind, 'nobody')} ${actor.name ?? ''}`.trim(),
    action: action ?? '',
    network: network ?? '',
    subject: subject ?? '',
    revision: Number(revision ?? 0),
    detail: detail ?? '',
  };
}

const COLUMNS: readonly Column<Entry>[] = [
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
  const answer = useAnswer('audit', (signal) => askPage(app.api, '', signal));
  return (
    <>
      <h1>Audit</h1>
      <p class="soft">Who changed what, in all networks and in control itself; newest first.</p>
      <Answered answer={answer}>{(page) => <Entries first={page} />}</Answered>
    </>
  );
}

function Entries({ first }: { readonly first: Page }) {
  const app = useApp();
  const entries = useSignal(first.entries);
  const older = useSignal(first.older);
  const problem = useSignal('');
  const more = async (): Promise<void> => {
    problem.value = '';
    try {
      const page = await askPage(app.api, older.value);
      entries.value = [...entries.value, ...page.entries];
      older.value = page.older;
      app.say(`${counted(page.entries.length, 'older entry', 'older entries')} listed`);
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  if (entries.value.length === 0) {
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
      {older.value === '' ? null : (
        <button type="button" class="button" onClick={() => void more()}>
          Older
        </button>
      )}
    </>
  );
}
