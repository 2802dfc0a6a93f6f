/** Who calls a service now, and whom it calls. */
import type { TrafficView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { Empty } from '../parts/notice.tsx';
import { byteRate, number, rate } from '../state/format.ts';
import { useApp } from '../state/use.ts';

interface Sum {
  readonly caller: string;
  readonly service: string;
  readonly open: number;
  readonly opened: number;
  readonly denied: number;
  readonly failed: number;
  readonly moved: number;
  readonly lastDenied: TrafficView['lastDenied'];
}

export interface TrafficTableProps {
  readonly pairs: readonly TrafficView[];
  /** The service that it is told of. */
  readonly of: string;
}

export function TrafficTable({ pairs, of }: TrafficTableProps) {
  const app = useApp();
  const sums = summed(pairs);
  if (sums.length === 0) {
    return (
      <Empty title="Nothing moves now.">
        <p>
          When a program calls {of} by its name, or {of} calls another service, it shows here within seconds.
        </p>
      </Empty>
    );
  }
  return (
    <div class="table-box">
      <table class="data cards">
        <caption class="offscreen">Traffic of {of} now</caption>
        <thead>
          <tr>
            <th scope="col">Caller → service</th>
            <th scope="col" class="numeric">
              New
            </th>
            <th scope="col" class="numeric">
              Open
            </th>
            <th scope="col" class="numeric">
              Bytes
            </th>
            <th scope="col">Trouble</th>
          </tr>
        </thead>
        <tbody>
          {sums.map((sum) => (
            <tr key={`${sum.caller} ${sum.service}`}>
              <th scope="row">
                <a href={app.link('flows', '', { source: sum.caller, service: sum.service })}>
                  {sum.caller} → {sum.service}
                </a>
              </th>
              <td class="numeric" data-label="New">
                {rate(sum.opened)}
              </td>
              <td class="numeric" data-label="Open">
                {number(sum.open)}
              </td>
              <td class="numeric" data-label="Bytes">
                {byteRate(sum.moved)}
              </td>
              <td data-label="Trouble" class="names">
                <Trouble sum={sum} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Trouble({ sum }: { readonly sum: Sum }) {
  const { denied, failed, lastDenied } = sum;
  if (denied === 0 && failed === 0 && lastDenied === undefined) return <>none</>;
  return (
    <span class="row">
      {denied === 0 && lastDenied === undefined ? null : <Badge tone="bad">{deniedWords(denied, lastDenied)}</Badge>}
      {failed === 0 ? null : <Badge tone="warn">{rate(failed)} fail</Badge>}
    </span>
  );
}

/** With its rate and port, since what else the caller opens there may well be allowed. */
function deniedWords(denied: number, last: TrafficView['lastDenied']): string {
  const often = denied === 0 ? 'lately denied' : `${rate(denied)} denied`;
  if (last === undefined) return often;
  return `${often} by ${last.rule} (:${last.port}${last.protocol === 'udp' ? '/udp' : ''})`;
}

/** Over the hosts of both ends: who watches a service asks of services first. */
export function summed(pairs: readonly TrafficView[]): readonly Sum[] {
  const sums = new Map<string, Sum>();
  for (const pair of pairs) {
    const key = `${pair.source} ${pair.service}`;
    const before = sums.get(key);
    sums.set(key, {
      caller: pair.source,
      service: pair.service,
      open: (before?.open ?? 0) + pair.open,
      opened: (before?.opened ?? 0) + pair.openedPerSecond,
      denied: (before?.denied ?? 0) + pair.deniedPerSecond,
      failed: (before?.failed ?? 0) + pair.failedPerSecond,
      moved: (before?.moved ?? 0) + pair.sentPerSecond + pair.receivedPerSecond,
      lastDenied: newest(before?.lastDenied, pair.lastDenied),
    });
  }
  return [...sums.values()];
}

function newest(one: TrafficView['lastDenied'], other: TrafficView['lastDenied']): TrafficView['lastDenied'] {
  if (one === undefined || other === undefined) return one ?? other;
  return other.atMs > one.atMs ? other : one;
}
