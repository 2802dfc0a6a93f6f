/**
 * Control's key and certificate. Clients pin the key (RFC 7469's SPKI pin), so the certificate can be made anew, for new
 * names or a new term, without any token or agent noticing; losing the key means that every host has to join again.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { KeyFileError } from './errors.ts';
import { createFile, readIfThere, replaceFile } from './files.ts';
import { makeSelfSigned } from './self-signed.ts';

const DAY_MS = 86_400_000;
const TERM_MS = 3_650 * DAY_MS;
const RENEW_BEFORE_MS = 365 * DAY_MS;

export interface ControlKeys {
  readonly keyPem: string;
  readonly certificatePem: string;
  /** SHA-256 of the certificate's SubjectPublicKeyInfo in DER, 32 bytes. */
  readonly pin: Uint8Array;
}

export interface KeyOptions {
  readonly directory: string;
  /** Host names and addresses that control is reached at. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** Reads `control.key` and `control.crt`, or makes what is missing; the certificate is renewed when it no longer fits. */
export async function openKeys({ directory, names, nowMs }: KeyOptions): Promise<ControlKeys> {
  const keyPath = join(directory, 'control.key');
  const certificatePath = join(directory, 'control.crt');
  let keyPem = readIfThere(keyPath);
  if (keyPem === undefined) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    createFile(keyPath, keyPem, 0o600);
  }
  const spki = publicKeyOf(keyPem, keyPath);
  let certificatePem = readIfThere(certificatePath);
  if (certificatePem === undefined || !fits(certificatePem, spki, names, nowMs)) {
    certificatePem = await makeSelfSigned({
      privateKey: createPrivateKey(keyPem),
      commonName: 'weft-control',
      names,
      // A day back, for hosts whose clocks are behind.
      notBeforeMs: nowMs - DAY_MS,
      notAfterMs: nowMs + TERM_MS,
    });
    replaceFile(certificatePath, certificatePem, 0o644);
  }
  return { keyPem, certificatePem, pin: pinOf(spki) };
}

function pinOf(spki: Buffer): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(spki).digest());
}

function publicKeyOf(keyPem: string, path: string): Buffer {
  try {
    const key = createPrivateKey(keyPem);
    const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'of no known type';
    if (kind !== 'prime256v1') throw new TypeError(`it is ${kind}, not EC on P-256`);
    return createPublicKey(key).export({ type: 'spki', format: 'der' });
  } catch (error) {
    const message = messageOf(error);
    throw new KeyFileError(
      'damaged',
      `${path} holds no usable key (${message}); restore it from a backup: with a new one every host has to join again`,
      error,
    );
  }
}

function fits(pem: string, spki: Buffer, names: readonly string[], nowMs: number): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return false;
  }
  return (
    certificate.publicKey.export({ type: 'spki', format: 'der' }).equals(spki) &&
    certificate.validFromDate.getTime() <= nowMs &&
    certificate.validToDate.getTime() - nowMs > RENEW_BEFORE_MS &&
    names.every((name) =>
      isIP(name) > 0
        ? certificate.checkIP(name) !== undefined
        : certificate.checkHost(name, { subject: 'never' }) !== undefined,
    )
  );
}
