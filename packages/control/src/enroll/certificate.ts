/**
 * Control's key and certificate. Clients pin the key (RFC 7469's SPKI pin), so the certificate can be made anew for new names
 * without any token or agent noticing; losing the key means that every host has to join again. As the pin is what is trusted,
 * the certificate has no term: one that had would shut out every host whose clock is wrong, and all of them once it was over.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { createSecretFile, readSecretFile, replaceSecretFile } from '@weft/proto/files';
import { KeyFileError } from './errors.ts';
import { makeSelfSigned } from './self-signed.ts';

/** From the first moment that a clock can show to the date that stands for none (RFC 5280, section 4.1.2.5). */
const NOT_BEFORE_MS = 0;
const NOT_AFTER_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

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
}

/** Reads `control.key` and `control.crt`, or makes what is missing; the certificate is made anew when it does not fit. */
export async function openKeys({ directory, names }: KeyOptions): Promise<ControlKeys> {
  const keyPath = join(directory, 'control.key');
  const certificatePath = join(directory, 'control.crt');
  let keyPem = await readSecretFile(keyPath);
  if (keyPem === undefined) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await createSecretFile(keyPath, keyPem);
  }
  const spki = publicKeyOf(keyPem, keyPath);
  let certificatePem = await readSecretFile(certificatePath);
  if (certificatePem === undefined || !fits(certificatePem, spki, names)) {
    certificatePem = await makeSelfSigned({
      privateKey: createPrivateKey(keyPem),
      commonName: 'weft-control',
      names,
      notBeforeMs: NOT_BEFORE_MS,
      notAfterMs: NOT_AFTER_MS,
    });
    await replaceSecretFile(certificatePath, certificatePem, 0o644);
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
      { cause: error },
    );
  }
}

function fits(pem: string, spki: Buffer, names: readonly string[]): boolean {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return false;
  }
  return (
    certificate.publicKey.export({ type: 'spki', format: 'der' }).equals(spki) &&
    certificate.validFromDate.getTime() === NOT_BEFORE_MS &&
    certificate.validToDate.getTime() === NOT_AFTER_MS &&
    names.every((name) =>
      isIP(name) > 0
        ? certificate.checkIP(name) !== undefined
        : certificate.checkHost(name, { subject: 'never' }) !== undefined,
    )
  );
}
