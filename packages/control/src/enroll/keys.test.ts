import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import { certificatePin } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAdminToken } from './admin-token.ts';
import { openKeys } from './certificate.ts';

const NOW = Date.now();
const YEAR = 365 * 86_400_000;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-keys-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const names = ['localhost', '127.0.0.1', '::1'];
const open = (more: string[] = [], nowMs = NOW) => openKeys({ directory, names: [...names, ...more], nowMs });

test('keys are made once, and the pin is that of the certificate', async () => {
  const made = await open();
  expect(certificatePin(new X509Certificate(made.certificatePem))).toEqual(made.pin);
  expect(statSync(join(directory, 'control.key')).mode & 0o777).toBe(0o600);
  expect(await open()).toEqual(made);
});

test('new names and old age renew the certificate under the same pin', async () => {
  const made = await open();
  const addresses = ['192.0.2.7', '2001:db8::7:0:1', '::ffff:192.0.2.8'];
  const named = await open(['control.example.com', ...addresses]);
  expect([named.pin, named.keyPem]).toEqual([made.pin, made.keyPem]);
  const certificate = new X509Certificate(named.certificatePem);
  expect(certificate.checkHost('control.example.com')).toBe('control.example.com');
  for (const address of addresses) expect(certificate.checkIP(address)).toBe(address);
  expect(certificate.validToDate.getTime() - NOW).toBeGreaterThan(9.9 * YEAR);
  expect(certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  expect((await open([], NOW + 8 * YEAR)).certificatePem).toBe(named.certificatePem);
  const renewed = await open([], NOW + 9.5 * YEAR);
  expect(renewed.certificatePem).not.toBe(named.certificatePem);
  expect(renewed.pin).toEqual(made.pin);
});

test('a damaged certificate is made anew, a damaged key never', async () => {
  const { pin } = await open();
  writeFileSync(join(directory, 'control.crt'), 'rubbish');
  expect((await open()).pin).toEqual(pin);
  writeFileSync(join(directory, 'control.key'), 'rubbish');
  await expect(open()).rejects.toMatchObject({ code: 'damaged' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  writeFileSync(join(directory, 'control.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await expect(open()).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining('secp384r1') });
});

test('the admin token is one file, and only its text passes', async () => {
  const { pin } = await open();
  const token = openAdminToken(directory, pin);
  const text = readFileSync(token.path, 'utf8').trim();
  expect(decodeAdminToken(text).pin).toEqual(pin);
  expect(statSync(token.path).mode & 0o777).toBe(0o600);
  expect([text, `${text}x`, text.slice(0, -1), ''].map(token.check)).toEqual([true, false, false, false]);
  expect(openAdminToken(directory, pin)).toMatchObject({ exposed: false });
  expect(openAdminToken(directory, pin).check(text)).toBe(true);
  chmodSync(token.path, 0o644);
  expect(openAdminToken(directory, pin).exposed).toBe(true);
  expect(() => openAdminToken(directory, new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'mismatch' }));
});
