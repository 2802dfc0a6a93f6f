import { expect, test } from 'vitest';
import { silent, unreachable } from './unreachable.ts';

const coded = (code: string, error: Error = new Error('as the system says it'), address?: string) =>
  Object.assign(error, { code }, address === undefined ? {} : { address });
const at = (address: string, code: string) => coded(code, new Error('as the system says it'), address);
const [V4, V6] = ['198.51.100.7', '2001:db8::7'];

test.each([
  [coded('ECONNREFUSED'), 'nobody listens there (ECONNREFUSED)', ['weft-control runs there']],
  [coded('ECONNREFUSED', new AggregateError([])), 'nobody listens there (ECONNREFUSED)', ['weft-control runs there']],
  // Of a name with several addresses.
  [
    coded('ETIMEDOUT', new AggregateError([at(V4, 'ETIMEDOUT'), at(V6, 'ECONNREFUSED')])),
    `${V4}: no answer in time (ETIMEDOUT); ${V6}: nobody listens there (ECONNREFUSED)`,
    ['firewalls on the way', 'weft-control runs there'],
  ],
  [
    coded('ENETUNREACH', new AggregateError([at(V6, 'ENETUNREACH'), at(V4, 'ETIMEDOUT')])),
    `${V6}: no way leads there from this host (ENETUNREACH); ${V4}: no answer in time (ETIMEDOUT)`,
    ['ip route get'],
  ],
  [
    coded('ECONNREFUSED', new AggregateError([at(V4, 'ECONNREFUSED'), at(V6, 'ECONNREFUSED')])),
    'nobody listens there (ECONNREFUSED)',
    ['weft-control runs there'],
  ],
  [coded('ENOTFOUND'), 'there is no such name (ENOTFOUND)', ['how it is spelt']],
  [coded('EAI_AGAIN'), 'no resolver of this host answers for that name (EAI_AGAIN)', ['/etc/resolv.conf']],
  [coded('ETIMEDOUT'), 'no answer in time (ETIMEDOUT)', ['firewalls on the way']],
  [
    coded('EHOSTUNREACH'),
    'no way leads there, or its host is off, or its firewall refuses (EHOSTUNREACH)',
    ['ip route get'],
  ],
  [coded('ENETUNREACH'), 'no way leads there from this host (ENETUNREACH)', ['ip route get']],
  [coded('EPERM'), 'this host does not let it out (EPERM)', ['firewall of this host']],
  [coded('ECONNRESET'), 'who answers there ends the connection (ECONNRESET)', ["a container's port answers there"]],
  [
    coded('ERR_SSL_WRONG_VERSION_NUMBER'),
    'what answers there speaks no TLS, as the ports of --dashboard and --metrics do not',
    ['--listen'],
  ],
  [
    coded('ERR_SSL_HTTP_REQUEST'),
    'what answers there speaks no TLS, as the ports of --dashboard and --metrics do not',
    ['--listen'],
  ],
  [
    coded('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'),
    'no TLS comes about with what answers there (ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)',
    ['--listen'],
  ],
  [
    coded('EPROTO', new Error('SSL routines::wrong version number')),
    'what answers there speaks no TLS, as the ports of --dashboard and --metrics do not',
    ['--listen'],
  ],
  [coded('EPROTO'), 'no TLS comes about with what answers there (EPROTO)', ['--listen']],
  [coded('EMFILE'), 'no open file is left for it here (EMFILE)', ['ulimit -n']],
  [coded('EADDRNOTAVAIL'), 'this host has no address or no source port for it (EADDRNOTAVAIL)', ['IPv6 is off here']],
  [coded('EINVAL'), 'this host cannot dial such an address (EINVAL)', ['link-local']],
  [coded('EWHATEVER'), 'as the system says it', ['weft-control runs there']],
  [coded('EWHATEVER', new AggregateError([])), 'EWHATEVER', ['weft-control runs there']],
])('of %o is told why there is no connection, and what to do', (error, why, advice) => {
  const told = unreachable(error);
  expect(told.why).toBe(why);
  expect(told.advice).toEqual(advice.map((words) => expect.stringContaining(words)));
  expect(told.refused === true).toBe(why === 'nobody listens there (ECONNREFUSED)');
});

test.each([
  ['asks for the name', 'no resolver of this host answers for that name within 5 s', '/etc/resolv.conf'],
  ['dials', 'no answer within 5 s', 'firewalls on the way'],
  ['is connected', 'it takes the connection, and says nothing within 5 s', 'tcp_mtu_probing'],
] as const)('of one that %s when its time is over is told what it waited for', (progress, why, advice) => {
  expect(silent(progress, 5_000)).toEqual({ why, advice: [expect.stringContaining(advice)] });
});
