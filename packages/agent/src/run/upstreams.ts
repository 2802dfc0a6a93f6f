/** Whether names outside `internal` are answered on this host. */
import type { DnsServer } from '../dns/index.ts';
import type { Problems } from '../words/problems.ts';

const LOOK_MS = 2_000;

/** Tells when they are not, and when they are again, until the signal is aborted. */
export function watchUpstreams(
  { unanswered }: Pick<DnsServer, 'unanswered'>,
  problems: Problems,
  signal: AbortSignal,
): void {
  const subject = 'dns';
  const check = () => {
    const why = unanswered();
    if (why === undefined) problems.clear('no-upstream', subject);
    else problems.raise({ code: 'no-upstream', subject, message: `names outside internal are not answered: ${why}` });
  };
  const timer = setInterval(check, LOOK_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
