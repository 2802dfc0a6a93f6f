import { expect, test } from 'vitest';
import { unreachable } from './unreachable.ts';

const coded = (code: string, error: Error = new Error('as the system says it')) => Object.assign(error, { code });

test.each([
  [coded('ECONNREFUSED'), 'nobody listens there (ECONNREFUSED)', 'weft-control runs there'],
  // As of a name with several addresses.
  [coded('ECONNREFUSED', new AggregateError([])), 'nobody listens there (ECONNREFUSED)', 'weft-control runs there'],
  [coded('ENOTFOUND'), 'there is no such name (ENOTFOUND)', 'how it is spelt'],
  [coded('EAI_AGAIN'), 'no resolver of this host answers for that name (EAI_AGAIN)', '/etc/resolv.conf'],
  [coded('ETIMEDOUT'), 'nobody answers there (ETIMEDOUT)', 'firewalls on the way'],
  [coded('EHOSTUNREACH'), 'no way leads there from this host (EHOSTUNREACH)', 'ip route get'],
  [coded('ENETUNREACH'), 'no way leads there from this host (ENETUNREACH)', 'ip route get'],
  [coded('EPERM'), 'this host does not let it out (EPERM)', 'firewall of this host'],
  [coded('ECONNRESET'), 'who answers there ends the connection at once (ECONNRESET)', '--listen'],
  [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'what answers there speaks no TLS', '--listen'],
  [coded('EWHATEVER'), 'as the system says it', 'weft-control runs there'],
  [coded('EWHATEVER', new AggregateError([])), 'EWHATEVER', 'weft-control runs there'],
])('of %o is told why there is no connection, and what to do', (error, why, advice) => {
  const told = unreachable(error);
  expect(told.why).toContain(why);
  expect(told.advice).toContain(advice);
});
