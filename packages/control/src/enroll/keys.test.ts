import { X509Certificate } from 'node:crypto';
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

test('keys are made once, and the pin is that of the certificate', () => {
  const made = open();
  expect(certificatePin(new X509Certificate(made.certificatePem))).toEqual(made.pin);
  expect(statSync(join(directory, 'control.key')).mode & 0o777).toBe(0o600);
  expect(open()).toEqual(made);
});

test('new names and old age renew the certificate under the same pin', () => {
  const made = open();
  const named = open(['control.example.com', '192.0.2.7', '2001:db8::7:0:1']);
  expect(named.pin).toEqual(made.pin);
  const certificate = new X509Certificate(named.certificatePem);
  expect(certificate.checkHost('control.example.com')).toBe('control.example.com');
  expect(certificate.checkIP('192.0.2.7')).toBe('192.0.2.7');
  expect(certificate.checkIP('2001:db8::7:0:1')).toBe('2001:db8::7:0:1');
  expect(certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  expect(open([], NOW + 8 * YEAR).certificatePem).toBe(named.certificatePem);
  const renewed = open([], NOW + 9.5 * YEAR);
  expect(renewed.certificatePem).not.toBe(named.certificatePem);
  expect(renewed.pin).toEqual(made.pin);
});

test('a damaged certificate is made anew, a damaged key never', () => {
  const { pin } = open();
  writeFileSync(join(directory, 'control.crt'), 'rubbish');
  expect(open().pin).toEqual(pin);
  writeFileSync(join(directory, 'control.key'), 'rubbish');
  expect(() => open()).toThrow(expect.objectContaining({ code: 'damaged' }));
});

test('the admin token is one file, and only its text passes', () => {
  const { pin } = open();
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
