/**
 * A table that sorts. One row is a stop of the Tab key; arrows go from row to row, so that three hundred rows are not three
 * hundred stops. On a narrow screen each row is a card (style sheet: `data-label`).
 */
import { useSignal } from '@preact/signals';
import { Component, type ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { byName } from '../state/format.ts';

export interface Column<Row> {
  readonly key: string;
  readonly label: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Without it the column does not sort. */
  readonly sort?: (row: Row) => string | number;
  readonly numeric?: boolean;
}

export interface DataTableProps<Row> {
  readonly caption: string;
  /** The first names the row, and is its link. */
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly href?: (row: Row) => string;
  /** A word for the row's look, such as `bad`. */
  readonly tone?: (row: Row) => string;
}

export function DataTable<Row>({ caption, columns, rows, rowKey, href, tone }: DataTableProps<Row>) {
  const by = useSignal('');
  const down = useSignal(false);
  const active = useSignal('');
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = sort(rows, columns.find(({ key }) => key === by.value)?.sort, down.value);
  const stop = sorted.some((row) => rowKey(row) === active.value) ? active.value : keyOfFirst(sorted, rowKey);
  const order = (key: string): void => {
    down.value = by.value === key && !down.value;
    by.value = key;
  };
  return (
    <div class="table-box">
      <table class="data cards">
        <caption class="offscreen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.key}
                scope="col"
                class={column.numeric === true ? 'numeric' : ''}
                {...(by.value === column.key ? { 'aria-sort': down.value ? 'descending' : 'ascending' } : {})}
              >
                {column.sort === undefined ? (
                  column.label
                ) : (
                  <button type="button" class="sort" onClick={() => order(column.key)}>
                    {column.label}
                    <span class="sort-sign" aria-hidden="true">
                      {by.value !== column.key ? '↕' : down.value ? '↓' : '↑'}
                    </span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody
          ref={body}
          onKeyDown={(event) => moveFocus(event, body.current)}
          onFocusIn={(event) => {
            const key = event.target instanceof HTMLElement ? event.target.dataset.row : undefined;
            if (key !== undefined) active.value = key;
          }}
        >
          {sorted.map((row) => {
            const key = rowKey(row);
            return (
              <TableRow
                key={key}
                id={key}
                row={row}
                columns={columns as readonly Column<unknown>[]}
                href={href?.(row)}
                tone={tone?.(row) ?? ''}
                stop={key === stop}
              />
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface TableRowProps {
  readonly id: string;
  readonly row: unknown;
  readonly columns: readonly Column<unknown>[];
  readonly href: string | undefined;
  readonly tone: string;
  readonly stop: boolean;
}

/** Drawn again only when its piece was replaced: each second brings a few pieces out of hundreds. */
class TableRow extends Component<TableRowProps> {
  override shouldComponentUpdate(next: TableRowProps): boolean {
    const { row, href, tone, stop, columns } = this.props;
    return (
      next.row !== row || next.href !== href || next.tone !== tone || next.stop !== stop || next.columns !== columns
    );
  }

  override render({ id, row, columns, href, tone, stop }: TableRowProps) {
    return (
      <tr class={tone === '' ? '' : `row-${tone}`}>
        {columns.map((column, index) => {
          if (index > 0) {
            return (
              <td key={column.key} data-label={column.label} class={column.numeric === true ? 'numeric' : ''}>
                {column.cell(row)}
              </td>
            );
          }
          return (
            <th key={column.key} scope="row">
              {href === undefined ? (
                column.cell(row)
              ) : (
                <a href={href} data-row={id} tabIndex={stop ? 0 : -1}>
                  {column.cell(row)}
                </a>
              )}
            </th>
          );
        })}
      </tr>
    );
  }
}

/** From row to row by the arrows, Home and End; the browser scrolls to what has the focus. */
export function moveFocus(event: KeyboardEvent, body: HTMLElement | null): void {
  const rows = [...(body?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  if (at < 0) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  rows[to]?.focus();
}

function keyOfFirst<Row>(rows: readonly Row[], rowKey: (row: Row) => string): string {
  const first = rows[0];
  return first === undefined ? '' : rowKey(first);
}

function sort<Row>(rows: readonly Row[], by: Column<Row>['sort'], down: boolean): readonly Row[] {
  if (by === undefined) return rows;
  const sign = down ? -1 : 1;
  return rows.toSorted((left, right) => {
    const [one, other] = [by(left), by(right)];
    if (typeof one === 'string' && typeof other === 'string') return sign * byName(one, other);
    return one < other ? -sign : one > other ? sign : 0;
  });
}
