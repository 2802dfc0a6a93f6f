/**
 * Who control is, by the pin in a token and nothing else: the certificate is fetched on a connection that sends nothing, and
 * its public key is compared with the pin.
 */
import { createHash, timingSafeEqual, type X509Certificate } from 'node:crypto';
import { isIP, type TcpSocketConnectOpts } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { parseHostPort } from '../model/endpoint.ts';
import { ControlUnreachableError, PinMismatchError } from './errors.ts';
import { CLOSED, type Progress, silent, type Unreachable, unreachable, WITHOUT_CERTIFICATE } from './unreachable.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** For one of several addresses of a name: a first packet that was lost is sent again after 1 s. */
const ADDRESS_TIMEOUT_MS = 1_500;

/** SHA-256 of a certificate's SubjectPublicKeyInfo in DER: 32 bytes. */
export function certificatePin(certificate: X509Certificate): Uint8Array {
  const info = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return new Uint8Array(createHash('sha256').update(info).digest());
}

/** Whether the certificate's key is the pinned one. */
export function holdsPin(certificate: X509Certificate, pin: Uint8Array): boolean {
  const found = certificatePin(certificate);
  return found.length === pin.length && timingSafeEqual(found, pin);
}

/**
 * The certificate that HOST:PORT shows, when its key is the pinned one. Rejects with ControlUnreachableError or PinMismatchError, or the
 * signal's reason. Control may renew its certificate under the same key, so ask again for each new channel.
 */
export function fetchPinnedCertificate(
  address: string,
  pin: Uint8Array,
  signal?: AbortSignal,
): Promise<X509Certificate> {
  const target = parseHostPort(address);
  if (target === undefined) {
    const advice = ['give it as control.example.com:7400, 192.0.2.11:7400 or [2001:db8::11]:7400'];
    return Promise.reject(new ControlUnreachableError(address, { why: 'expected HOST:PORT', advice }));
  }
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const dialled: ConnectionOptions & Pick<TcpSocketConnectOpts, 'autoSelectFamilyAttemptTimeout'> = {
      host: target.host,
      port: target.port,
      autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS,
      // Who answers is known by the pin, compared below before a byte is sent.
      rejectUnauthorized: false,
      // No authority is asked, and reading all that Node knows takes 25 ms and a MiB.
      ca: [],
      ALPNProtocols: ['h2'],
      ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    };
    const socket = connect(dialled);
    const fail = (how: Unreachable, cause?: unknown): void =>
      end(() => reject(new ControlUnreachableError(address, how, cause)));
    const abort = (): void => end(() => reject(signal?.reason));
    // One timer for the whole: an idle timeout would be put off by a peer that drips bytes.
    const timer = setTimeout(() => fail(silent(progress, CONNECT_TIMEOUT_MS)), CONNECT_TIMEOUT_MS);
    let progress: Progress = isIP(target.host) === 0 ? 'asks for the name' : 'dials';
    signal?.addEventListener('abort', abort, { once: true });

    /** The first one counts: a settled promise ignores the rest. */
    function end(settle: () => void): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      settle();
      socket.destroy();
    }
    socket.on('error', (error) => fail(unreachable(error), error));
    socket.on('close', () => fail(CLOSED));
    socket.on('lookup', () => {
      progress = 'dials';
    });
    socket.on('connect', () => {
      progress = 'is connected';
    });
    socket.on('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) fail(WITHOUT_CERTIFICATE);
      else if (!holdsPin(certificate, pin)) end(() => reject(new PinMismatchError(address)));
      else if (!isValidAt(certificate, Date.now())) fail(wrongTime(certificate));
      else end(() => resolve(certificate));
    });
  });
}

function isValidAt({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
}

/** The channel would refuse it with a word of OpenSSL's, and what is wrong is a clock or an old certificate. */
function wrongTime({ validFromDate, validToDate }: X509Certificate): Unreachable {
  return {
    why:
      `its key is the right one, but its certificate is valid from ${validFromDate.toISOString()} to ${validToDate.toISOString()} ` +
      `and this host's clock says ${new Date().toISOString()}`,
    advice: ['set the clock right, or start control again, which makes a certificate without a term'],
  };
}
