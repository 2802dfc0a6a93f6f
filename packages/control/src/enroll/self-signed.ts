/** A self-signed X.509 certificate for a TLS server (RFC 5280), for an EC key on P-256. */

// First: x509 resolves its parts through it while it loads.
import 'reflect-metadata';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' };

export interface CertificateOptions {
  readonly privateKey: KeyObject;
  readonly commonName: string;
  /** Host names and IP addresses. */
  readonly names: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The certificate in PEM. */
export async function makeSelfSigned(options: CertificateOptions): Promise<string> {
  const privateKey = options.privateKey.toCryptoKey(ECDSA, false, ['sign']);
  const publicKey = createPublicKey(options.privateKey).toCryptoKey(ECDSA, true, ['verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    keys: { privateKey, publicKey },
    name: [{ CN: [options.commonName] }],
    notBefore: new Date(options.notBeforeMs),
    notAfter: new Date(options.notAfterMs),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      // No certificate authority: it vouches for itself alone. No key usage either: with one that leaves out the signing
      // of certificates, older OpenSSL does not count it as self-signed, and with one that has it, it would claim too much.
      new BasicConstraintsExtension(false, undefined, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      await SubjectKeyIdentifierExtension.create(publicKey),
      new SubjectAlternativeNameExtension(options.names.map(generalName)),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

function generalName(name: string): JsonGeneralName {
  // x509 misreads an IPv4 address in an IPv6 one's tail; a URL's host is written in hexadecimal groups throughout.
  if (isIPv6(name)) return { type: 'ip', value: new URL(`http://[${name}]`).hostname.slice(1, -1) };
  return { type: isIPv4(name) ? 'ip' : 'dns', value: name };
}
