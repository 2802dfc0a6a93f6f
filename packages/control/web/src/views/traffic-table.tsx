/** Who calls a service now, and whom it calls. */
import type { TrafficView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { Empty } from '../parts/notice.tsx';
import { byteRate, rate } from '../state/format.ts';
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
                {sum.open}
              </td>
              <td class="numeric" data-label="Bytes">
                {byteRate(sum.moved)}
              </td>
              <td data-label="Trouble">
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
  if (sum.lastDenied !== undefined) {
    return <Badge tone="bad">denied by {sum.lastDenied.rule}</Badge>;
  }
  if (sum.failed > 0) return <Badge tone="warn">{rate(sum.failed)} fail</Badge>;
  return <>none</>;
}

/** Over the hosts of both ends: who watches a service asks of services first. */
function summed(pairs: readonly TrafficView[]): readonly Sum[] {
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
      lastDenied: pair.lastDenied ?? before?.lastDenied,
    });
  }
  return [...sums.values()];
}
