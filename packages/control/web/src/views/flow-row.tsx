/** One flow in a line. */
import { OUTCOMES } from '@weft/proto/model';
import { Component } from 'preact';
import type { FlowView } from '../../../src/dashboard/api.ts';
import { Badge, VerdictBadge } from '../parts/badge.tsx';
import { bytes, clock, dayAndTime, duration } from '../state/format.ts';

/** What was decided comes first: on a narrow screen the rest is beside it, out of sight. */
export function FlowHead({ withDay = false }: { readonly withDay?: boolean }) {
  return (
    <thead>
      <tr>
        <th scope="col" class={withDay ? 'flow-day' : 'flow-time'}>
          Ended
        </th>
        <th scope="col" class="flow-verdict">
          Verdict
        </th>
        <th scope="col">Rule</th>
        <th scope="col">Source</th>
        <th scope="col">Destination</th>
        <th scope="col" class="flow-outcome">
          How it ended
        </th>
        <th scope="col" class="numeric flow-number">
          Sent
        </th>
        <th scope="col" class="numeric flow-number">
          Received
        </th>
        <th scope="col" class="numeric flow-number">
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
    const to = `${flow.service}:${flow.port}${flow.protocol === 'udp' ? '/udp' : ''}`;
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
          <VerdictBadge verdict={flow.verdict} />
        </td>
        <td class="mono" title={flow.rule}>
          {flow.rule}
        </td>
        <td title={`${flow.source} on ${flow.sourceHost}`}>
          {flow.source} <span class="soft">{flow.sourceHost}</span>
        </td>
        <td title={`${to}${flow.destinationHost === '' ? '' : ` on ${flow.destinationHost}`}`}>
          {to} <span class="soft">{flow.destinationHost}</span>
        </td>
        <td>{hasFailed(flow) ? <Badge tone="warn">{flow.outcome}</Badge> : flow.outcome}</td>
        <td class="numeric">{bytes(flow.bytesSent)}</td>
        <td class="numeric">{bytes(flow.bytesReceived)}</td>
        <td class="numeric">{duration(flow.durationMs)}</td>
      </tr>
    );
  }
}

export function hasFailed({ verdict, outcome }: FlowView): boolean {
  return verdict === 'allow' && OUTCOMES[outcome].failed;
}
