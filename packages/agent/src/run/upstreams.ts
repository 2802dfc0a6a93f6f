/** Whether names outside `internal` are answered on this host, and asked for no faster. */
import type { DnsServer } from '../dns/index.ts';
import type { Problems } from '../words/problems.ts';

const LOOK_MS = 2_000;
const MAKES_ROOM =
  'those of the domain that has most make room, or who has waited long, and are answered SERVFAIL; find the program that asks for so many names outside internal';

/** Tells when they are not, and when they are again, until the signal is aborted. */
export function watchUpstreams(
  { unanswered, crowded }: Pick<DnsServer, 'unanswered' | 'crowded'>,
  problems: Problems,
  signal: AbortSignal,
): void {
  const subject = 'dns';
  const check = () => {
    const why = unanswered();
    if (why === undefined) problems.clear('no-upstream', subject);
    else problems.raise({ code: 'no-upstream', subject, message: `names outside internal are not answered: ${why}` });
    const what = crowded();
    if (what === undefined) problems.clear('too-many-questions', subject);
    else problems.raise({ code: 'too-many-questions', subject, message: `${what}; ${MAKES_ROOM}` });
  };
  const timer = setInterval(check, LOOK_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
