/** The agent's report to control: kept whole, sent on change, gathered so that a burst is one message. */

import { isDeepStrictEqual } from 'node:util';
import { type Problem, type Report, WIRE_LIMITS } from '@weft/proto';

const GATHER_MS = 100;

export class ReportSender {
  readonly #make: () => Report;
  #timer: NodeJS.Timeout | undefined;
  #send: ((report: Report) => void) | undefined;
  #sent: Report | undefined;

  /** @param make answers with the report of now. */
  constructor(make: () => Report) {
    this.#make = make;
  }

  /** The report of now, within the wire's bounds. */
  get current(): Report {
    const report = this.#make();
    return {
      ...report,
      endpoints: report.endpoints.slice(0, WIRE_LIMITS.reportEndpoints),
      problems: bounded(report.problems),
    };
  }

  /** Something that the report tells may have changed. */
  changed(): void {
    if (this.#send === undefined) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sendIfNew();
    }, GATHER_MS);
  }

  /** It has changed, and nothing more is waited for. */
  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sendIfNew();
  }

  /** A session with control begins; `said` went out with its hello. */
  connect(send: (report: Report) => void, said: Report): void {
    this.#send = send;
    this.#sent = said;
    // What changed between the hello and now.
    this.changed();
  }

  disconnect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#send = undefined;
  }

  #sendIfNew(): void {
    const report = this.current;
    if (this.#send === undefined || isDeepStrictEqual(report, this.#sent)) return;
    this.#sent = report;
    this.#send(report);
  }
}

function bounded(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length <= WIRE_LIMITS.problems) return problems;
  const omitted = problems.length - (WIRE_LIMITS.problems - 1);
  const note: Problem = {
    code: 'more-problems',
    subject: 'agent',
    message: `and ${omitted} more; weft status on this host shows them all`,
  };
  return [...problems.slice(0, WIRE_LIMITS.problems - 1), note];
}
