import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import { certificatePin } from '@weft/proto/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openKeys } from './certificate.ts';
import { openCredentials } from './credentials.ts';
import { makeSelfSigned } from './self-signed.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-keys-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const names = ['localhost', '127.0.0.1', '::1'];
const open = (more: string[] = []) => openKeys({ directory, names: [...names, ...more] });

test('keys are made once, and the pin is that of the certificate', async () => {
  const made = await open();
  expect(certificatePin(new X509Certificate(made.certificatePem))).toEqual(made.pin);
  expect(statSync(join(directory, 'control.key')).mode & 0o777).toBe(0o600);
  expect(await open()).toEqual(made);
});

test('new names renew the certificate under the same pin', async () => {
  const made = await open();
  const addresses = ['192.0.2.7', '2001:db8::7:0:1', '::ffff:192.0.2.8'];
  const named = await open(['control.example.com', ...addresses]);
  expect([named.pin, named.keyPem]).toEqual([made.pin, made.keyPem]);
  const certificate = new X509Certificate(named.certificatePem);
  expect(certificate.checkHost('control.example.com')).toBe('control.example.com');
  for (const address of addresses) expect(certificate.checkIP(address)).toBe(address);
  expect(certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  expect((await open()).certificatePem).toBe(named.certificatePem);
});

test('a certificate has no term, whatever the clock says, and one that has is made anew', async () => {
  vi.useFakeTimers({ now: 1_000, toFake: ['Date'] });
  const made = await open().finally(() => vi.useRealTimers());
  const certificate = new X509Certificate(made.certificatePem);
  expect(certificate.validFromDate.toISOString()).toBe('1970-01-01T00:00:00.000Z');
  expect(certificate.validToDate.toISOString()).toBe('9999-12-31T23:59:59.000Z');
  const dated = await makeSelfSigned({
    privateKey: createPrivateKey(made.keyPem),
    commonName: 'weft-control',
    names,
    notBeforeMs: 0,
    notAfterMs: Date.UTC(1979, 11, 30),
  });
  writeFileSync(join(directory, 'control.crt'), dated);
  const renewed = await open();
  expect(new X509Certificate(renewed.certificatePem).validToDate.getUTCFullYear()).toBe(9999);
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
  const { roleOf, adminTokenPath } = await openCredentials(directory, pin);
  const read = readFileSync(join(directory, 'read.token'), 'utf8').trim();
  const admin = readFileSync(adminTokenPath, 'utf8').trim();
  expect(adminTokenPath).toBe(join(directory, 'admin.token'));
  for (const text of [admin, read]) expect(decodeAdminToken(text).pin).toEqual(pin);
  for (const name of ['admin.token', 'read.token']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  const presented = [admin, read, `${admin}x`, read.slice(0, -1), ''];
  expect(presented.map(roleOf)).toEqual(['admin', 'read', undefined, undefined, undefined]);
  const again = await openCredentials(directory, pin);
  expect([again.roleOf(admin), again.roleOf(read)]).toEqual(['admin', 'read']);
  await expect(openCredentials(directory, new Uint8Array(32))).rejects.toMatchObject({ code: 'mismatch' });
});

test('a directory from before gets a read token, and keeps its admin token', async () => {
  const { pin } = await open();
  await openCredentials(directory, pin);
  const admin = readFileSync(join(directory, 'admin.token'), 'utf8');
  rmSync(join(directory, 'read.token'));
  const { roleOf } = await openCredentials(directory, pin);
  expect(readFileSync(join(directory, 'admin.token'), 'utf8')).toBe(admin);
  expect(roleOf(readFileSync(join(directory, 'read.token'), 'utf8').trim())).toBe('read');
});

test('a read token that is the admin token is refused: whoever may see could act', async () => {
  const { pin } = await open();
  await openCredentials(directory, pin);
  writeFileSync(join(directory, 'read.token'), readFileSync(join(directory, 'admin.token')));
  await expect(openCredentials(directory, pin)).rejects.toMatchObject({ code: 'mismatch' });
});
