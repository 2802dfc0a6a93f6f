/** A self-signed X.509 certificate for a TLS server (RFC 5280), for an EC key on P-256. */
import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { bitString, explicit, implicit, integer, octetString, oid, sequence, TAG, time, tlv } from './der.ts';

const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const COMMON_NAME = '2.5.4.3';
const SUBJECT_KEY_IDENTIFIER = '2.5.29.14';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

export interface CertificateOptions {
  readonly privateKey: KeyObject;
  /** The public key's SubjectPublicKeyInfo in DER. */
  readonly spki: Buffer;
  readonly commonName: string;
  /** Host names and IP addresses. */
  readonly names: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The certificate in PEM. */
export function makeSelfSigned(options: CertificateOptions): string {
  const { privateKey, spki, notBeforeMs, notAfterMs } = options;
  const name = sequence(
    tlv(TAG.set, sequence(oid(COMMON_NAME), tlv(TAG.utf8String, Buffer.from(options.commonName, 'utf8')))),
  );
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(randomBytes(16)),
    ECDSA_WITH_SHA256,
    name, // issuer
    sequence(time(notBeforeMs), time(notAfterMs)),
    name, // subject
    spki,
    explicit(3, sequence(...extensions(spki, options.names))),
  );
  const signature = sign('sha256', toBeSigned, { key: privateKey, dsaEncoding: 'der' });
  const certificate = sequence(toBeSigned, ECDSA_WITH_SHA256, bitString(signature));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function extensions(spki: Buffer, names: readonly string[]): Buffer[] {
  return [
    // No certificate authority: it vouches for itself alone. No key usage either: with one that leaves out the signing of
    // certificates, older OpenSSL does not count it as self-signed, and with one that has it, it would claim too much.
    extension(BASIC_CONSTRAINTS, true, sequence()),
    extension(EXTENDED_KEY_USAGE, false, sequence(oid(SERVER_AUTHENTICATION))),
    // RFC 7093, method 4: a digest of the whole SubjectPublicKeyInfo.
    extension(SUBJECT_KEY_IDENTIFIER, false, octetString(createHash('sha256').update(spki).digest().subarray(0, 20))),
    extension(SUBJECT_ALTERNATIVE_NAME, false, sequence(...names.map(generalName))),
  ];
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [Buffer.from([0x01, 0x01, 0xff])] : [];
  return sequence(oid(id), ...flag, octetString(value));
}

function generalName(name: string): Buffer {
  return isIP(name) > 0 ? implicit(7, addressOctets(name)) : implicit(2, Buffer.from(name, 'ascii'));
}

function addressOctets(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // A URL's host is written in one way only: hexadecimal groups, the longest run of zeros left out.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const octets = Buffer.alloc(16);
  for (const [index, group] of [...front, ...zeros, ...back].entries()) {
    octets.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  return octets;
}
