/** The lines of the mesh file in which two revisions differ. */
import { diffLines } from 'diff';
import { Answered } from '../parts/notice.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';
import { useAnswer, useApp } from '../state/use.ts';

/** Lines shown around a change. */
const AROUND = 2;

export interface LineChangesProps {
  /** Undefined: there was none before. */
  readonly from: number | undefined;
  readonly to: number;
}

export function LineChanges({ from, to }: LineChangesProps) {
  const app = useApp();
  const network = app.network.value;
  const answer = useAnswer(`${network} ${from} ${to}`, async (signal) => {
    const [before, after] = await Promise.all([
      from === undefined
        ? { file: '' }
        : app.api.call('getMesh', { network, revision: `${from}`, asFile: true }, signal),
      app.api.call('getMesh', { network, revision: `${to}`, asFile: true }, signal),
    ]);
    return changedLines(before.file ?? '', after.file ?? '');
  });
  return (
    <Answered answer={answer}>
      {(lines) =>
        lines.length === 0 ? (
          <p class="soft">No line of the mesh file differs from the revision before.</p>
        ) : (
          <ScrollBox look="code diff" label={`Lines changed by revision ${to}`}>
            {lines.map(({ sign, text }, index) => (
              <code key={index} class={`line line-${NAMES[sign]}`}>
                {`${sign} ${text}\n`}
              </code>
            ))}
          </ScrollBox>
        )
      }
    </Answered>
  );
}

export interface ChangedLine {
  readonly sign: '+' | '-' | ' ' | '…';
  readonly text: string;
}

const NAMES = { '+': 'added', '-': 'removed', ' ': 'same', '…': 'skipped' } as const;

/** Only the changes, each with the lines beside it. Empty when nothing differs. */
export function changedLines(before: string, after: string): readonly ChangedLine[] {
  const parts = diffLines(before, after);
  if (parts.every(({ added, removed }) => !added && !removed)) return [];
  return parts.flatMap((part, index) => {
    const lines = part.value.replace(/\n$/, '').split('\n');
    if (part.added || part.removed) return lines.map((text) => ({ sign: part.added ? '+' : '-', text }) as const);
    const [head, tail] = [index === 0 ? 0 : AROUND, index === parts.length - 1 ? 0 : AROUND];
    if (lines.length <= head + tail + 1) return lines.map((text) => ({ sign: ' ', text }) as const);
    const same = (text: string): ChangedLine => ({ sign: ' ', text });
    const skipped: ChangedLine = { sign: '…', text: `${lines.length - head - tail} lines alike` };
    return [...lines.slice(0, head).map(same), skipped, ...lines.slice(lines.length - tail).map(same)];
  });
}
