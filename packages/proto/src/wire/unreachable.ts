/** Why no connection to control came about, in words, and what to do about it. */
import { messageOf } from '../model/errors.ts';

export interface Unreachable {
  readonly why: string;
  readonly advice: string;
}

const RUNS =
  "check that weft-control runs there, and that its --listen is more than that host's loopback where this is another";
const PASSES = 'check the address, and that firewalls on the way let TCP pass to its port';
const ROUTES = "check the address, this host's routes (ip route get ADDRESS), and firewalls on the way";
const IS_CONTROL = 'check that it is the port of --listen of weft-control: 7400 unless it says otherwise';
const HERE: Unreachable = {
  why: 'this host makes no connection',
  advice: 'see to this host: open files, its interfaces and addresses',
};

/** By the code of the system's error. */
const SYSTEM: Readonly<Record<string, Unreachable>> = {
  ECONNREFUSED: { why: 'nobody listens there', advice: RUNS },
  ENOTFOUND: { why: 'there is no such name', advice: 'check how it is spelt, or give an address in its place' },
  EAI_AGAIN: {
    why: 'no resolver of this host answers for that name',
    advice: 'see to /etc/resolv.conf, or give an address in its place',
  },
  ETIMEDOUT: { why: 'nobody answers there', advice: PASSES },
  EHOSTUNREACH: { why: 'no way leads there from this host', advice: ROUTES },
  ENETUNREACH: { why: 'no way leads there from this host', advice: ROUTES },
  EACCES: { why: 'this host does not let it out', advice: 'see to the firewall of this host' },
  EPERM: { why: 'this host does not let it out', advice: 'see to the firewall of this host' },
  EMFILE: HERE,
  ENFILE: HERE,
  EADDRNOTAVAIL: HERE,
  ENETDOWN: HERE,
  EINVAL: HERE,
  ECONNRESET: { why: 'who answers there ends the connection at once', advice: IS_CONTROL },
};

export const SILENT: Unreachable = { why: 'no answer within 5 s', advice: PASSES };
export const CLOSED: Unreachable = { why: 'it closed the connection', advice: IS_CONTROL };
export const WITHOUT_CERTIFICATE: Unreachable = { why: 'it showed no certificate', advice: IS_CONTROL };
const NO_TLS: Unreachable = {
  why: 'what answers there speaks no TLS, as the ports of --dashboard and --metrics do not',
  advice: 'name that of its --listen, 7400 unless it says otherwise',
};

/** What OpenSSL says of an answer that is no TLS; where it is met while writing, in the words alone. */
const PLAIN = /wrong.version.number|packet.length.too.long|http.request/i;

/** Somebody is there, so that no other address of the name tells more of control. */
const MET = ['ECONNREFUSED', 'ECONNRESET'];

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** Of what a TLS connection failed by. A name of several addresses brings one error for all, without words and with the first one's code. */
export function unreachable(error: unknown): Unreachable {
  if (error instanceof AggregateError && error.errors.length > 0) {
    const met = error.errors.find((one) => MET.includes(codeOf(one)));
    return unreachable(met ?? error.errors[0]);
  }
  const code = codeOf(error);
  // OpenSSL's own words for it help nobody.
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    if (PLAIN.test(code) || PLAIN.test(messageOf(error))) return NO_TLS;
    return { why: `what answers there is no weft-control: its TLS refuses (${code})`, advice: IS_CONTROL };
  }
  const known = SYSTEM[code];
  if (known !== undefined) return { ...known, why: `${known.why} (${code})` };
  return { why: messageOf(error) || code, advice: RUNS };
}
