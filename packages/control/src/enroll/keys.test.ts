import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import { certificatePin } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openKeys } from './certificate.ts';
import { openCredentials } from './credentials.ts';

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

test('two tokens are made once, for their owner alone, and only their texts pass, each for its role', async () => {
  const { pin } = await open();
  const { roleOf, adminTokenPath } = openCredentials(directory, pin);
  const read = readFileSync(join(directory, 'read.token'), 'utf8').trim();
  const admin = readFileSync(adminTokenPath, 'utf8').trim();
  expect(adminTokenPath).toBe(join(directory, 'admin.token'));
  for (const text of [admin, read]) expect(decodeAdminToken(text).pin).toEqual(pin);
  for (const name of ['admin.token', 'read.token']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  const presented = [admin, read, `${admin}x`, read.slice(0, -1), ''];
  expect(presented.map(roleOf)).toEqual(['admin', 'read', undefined, undefined, undefined]);
  const again = openCredentials(directory, pin);
  expect([again.roleOf(admin), again.roleOf(read), again.exposed]).toEqual(['admin', 'read', []]);
  chmodSync(join(directory, 'read.token'), 0o644);
  expect(openCredentials(directory, pin).exposed).toEqual([join(directory, 'read.token')]);
  expect(() => openCredentials(directory, new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'mismatch' }));
});

test('a directory from before gets a read token, and keeps its admin token', async () => {
  const { pin } = await open();
  openCredentials(directory, pin);
  const admin = readFileSync(join(directory, 'admin.token'), 'utf8');
  rmSync(join(directory, 'read.token'));
  const { roleOf } = openCredentials(directory, pin);
  expect(readFileSync(join(directory, 'admin.token'), 'utf8')).toBe(admin);
  expect(roleOf(readFileSync(join(directory, 'read.token'), 'utf8').trim())).toBe('read');
});

test('a read token that is the admin token is refused: whoever may see could act', async () => {
  const { pin } = await open();
  openCredentials(directory, pin);
  writeFileSync(join(directory, 'read.token'), readFileSync(join(directory, 'admin.token')));
  expect(() => openCredentials(directory, pin)).toThrow(expect.objectContaining({ code: 'mismatch' }));
});
