import { expect, test } from 'vitest';
import { unreachable } from './unreachable.ts';

const coded = (code: string, error: Error = new Error('as the system says it')) => Object.assign(error, { code });

test.each([
  [coded('ECONNREFUSED'), 'nobody listens there (ECONNREFUSED)', 'weft-control runs there'],
  // As of a name with several addresses.
  [coded('ECONNREFUSED', new AggregateError([])), 'nobody listens there (ECONNREFUSED)', 'weft-control runs there'],
  [
    coded('ETIMEDOUT', new AggregateError([coded('ETIMEDOUT'), coded('ECONNREFUSED')])),
    'nobody listens there (ECONNREFUSED)',
    'weft-control runs there',
  ],
  [
    coded('ENETUNREACH', new AggregateError([coded('ENETUNREACH'), coded('ETIMEDOUT')])),
    'no way leads there from this host (ENETUNREACH)',
    'ip route get',
  ],
  [coded('ENOTFOUND'), 'there is no such name (ENOTFOUND)', 'how it is spelt'],
  [coded('EAI_AGAIN'), 'no resolver of this host answers for that name (EAI_AGAIN)', '/etc/resolv.conf'],
  [coded('ETIMEDOUT'), 'nobody answers there (ETIMEDOUT)', 'firewalls on the way'],
  [coded('EHOSTUNREACH'), 'no way leads there from this host (EHOSTUNREACH)', 'ip route get'],
  [coded('ENETUNREACH'), 'no way leads there from this host (ENETUNREACH)', 'ip route get'],
  [coded('EPERM'), 'this host does not let it out (EPERM)', 'firewall of this host'],
  [coded('ECONNRESET'), 'who answers there ends the connection at once (ECONNRESET)', '--listen'],
  [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'what answers there speaks no TLS', '--listen'],
  [coded('ERR_SSL_HTTP_REQUEST'), 'what answers there speaks no TLS', '--listen'],
  [
    coded('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'),
    'no weft-control: its TLS refuses (ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)',
    '--listen',
  ],
  [coded('EPROTO', new Error('SSL routines::wrong version number')), 'what answers there speaks no TLS', '--listen'],
  [coded('EPROTO'), 'no weft-control: its TLS refuses (EPROTO)', '--listen'],
  [coded('EMFILE'), 'this host makes no connection (EMFILE)', 'see to this host'],
  [coded('EINVAL'), 'this host makes no connection (EINVAL)', 'see to this host'],
  [coded('EWHATEVER'), 'as the system says it', 'weft-control runs there'],
  [coded('EWHATEVER', new AggregateError([])), 'EWHATEVER', 'weft-control runs there'],
])('of %o is told why there is no connection, and what to do', (error, why, advice) => {
  const told = unreachable(error);
  expect(told.why).toContain(why);
  expect(told.advice).toContain(advice);
});
