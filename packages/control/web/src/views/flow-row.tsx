/** One flow in a line. */
import { Component } from 'preact';
import type { FlowView } from '../../../src/dashboard/api.ts';
import { Badge, VerdictBadge } from '../parts/badge.tsx';
import { bytes, clock, dayAndTime, duration } from '../state/format.ts';

export function FlowHead() {
  return (
    <thead>
      <tr>
        <th scope="col">Ended</th>
        <th scope="col">Source</th>
        <th scope="col">Destination</th>
        <th scope="col">Verdict</th>
        <th scope="col">Rule</th>
        <th scope="col">How it ended</th>
        <th scope="col" class="numeric">
          Sent
        </th>
        <th scope="col" class="numeric">
          Received
        </th>
        <th scope="col" class="numeric">
          Lasted
        </th>
      </tr>
    </thead>
  );
}

export interface FlowRowProps {
  readonly flow: FlowView;
  readonly href: string;
  /** Whether the Tab key stops here. */
  readonly stop: boolean;
  /** Of all rows, when only some are drawn. */
  readonly index?: number;
  /** With the day, in a table over days. */
  readonly withDay?: boolean;
}

/** Never changes once drawn, but for its place: two hundred come in a second. */
export class FlowRow extends Component<FlowRowProps> {
  override shouldComponentUpdate(next: FlowRowProps): boolean {
    const { flow, href, stop, index } = this.props;
    return next.flow !== flow || next.href !== href || next.stop !== stop || next.index !== index;
  }

  override render({ flow, href, stop, index, withDay }: FlowRowProps) {
    const endedMs = flow.startedMs + flow.durationMs;
    return (
      <tr
        class={flow.verdict === 'deny' ? 'row-bad' : hasFailed(flow) ? 'row-warn' : ''}
        {...(index === undefined ? {} : { 'aria-rowindex': index + 2 })}
        onClick={(event) => {
          // The whole row is a target for the mouse; a selection of text is not a click.
          const onLink = event.target instanceof Element && event.target.closest('a') !== null;
          if (!onLink && getSelection()?.isCollapsed !== false) location.hash = href;
        }}
      >
        <th scope="row">
          <a href={href} data-row={flow.cursor} tabIndex={stop ? 0 : -1}>
            {withDay === true ? dayAndTime(endedMs) : clock(endedMs)}
          </a>
        </th>
        <td>
          {flow.source} <span class="soft">{flow.sourceHost}</span>
        </td>
        <td>
          {flow.service}:{flow.port}
          {flow.protocol === 'udp' ? '/udp' : ''} <span class="soft">{flow.destinationHost}</span>
        </td>
        <td>
          <VerdictBadge verdict={flow.verdict} />
        </td>
        <td class="mono">{flow.rule}</td>
        <td>{hasFailed(flow) ? <Badge tone="warn">{flow.outcome}</Badge> : flow.outcome}</td>
        <td class="numeric">{bytes(flow.bytesSent)}</td>
        <td class="numeric">{bytes(flow.bytesReceived)}</td>
        <td class="numeric">{duration(flow.durationMs)}</td>
      </tr>
    );
  }
}

export function hasFailed({ verdict, outcome }: FlowView): boolean {
  return verdict === 'allow' && outcome !== 'closed' && outcome !== 'reset';
}
