import { status } from '@grpc/grpc-js';
import { errorDetails } from '@weft/proto/wire';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { EnrollError } from '../enroll/errors.ts';
import { StateError } from '../state/errors.ts';
import { StoreError } from '../store/errors.ts';
import { statusFor, toStatus } from './status.ts';

test.each([
  ['invalid', 'identity_key', status.INVALID_ARGUMENT],
  ['out-of-scope', 'services', status.PERMISSION_DENIED],
  ['host-taken', 'host', status.ALREADY_EXISTS],
] as const)('a join refused as %s names its field %s', (code, field, expected) => {
  const answer = toStatus(new EnrollError(code, 'what is wrong', field));
  expect(answer).toMatchObject({ code: expected, details: `${field}: what is wrong` });
  const reason = code.toUpperCase().replaceAll('-', '_');
  expect(errorDetails(answer)).toEqual({ reason, metadata: {}, fields: [{ field, message: 'what is wrong' }] });
});

test('a join refused for its token is about no field', () => {
  const answer = toStatus(new EnrollError('token-used', 'it was used'));
  expect(answer).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'it was used' });
  expect(errorDetails(answer)).toEqual({ reason: 'TOKEN_USED', metadata: {}, fields: [] });
});

test('a full disk is told of, and what else is wrong with the data is not', () => {
  const words = 'control could not write its data: database or disk is full; check the disk';
  const answer = toStatus(new StoreError('write-failed', words));
  expect(answer).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: words });
  expect(toStatus(new StoreError('corrupt', 'the file /var/lib/weft/control.db'))).toBeUndefined();
});

test('an error in the words of who asks is well formed, and bounded', () => {
  const service = `${'a'.repeat(979)}\u{1f600}${'x'.repeat(100_000)}`;
  for (const fields of [[], [{ field: 'service', message: service }]]) {
    const answer = toStatus(new StateError('no-such-service', `there is no service ${service}`, fields, { service }));
    expect(() => encodeURI(answer?.details ?? '')).not.toThrow();
    expect(answer?.details.length).toBeLessThanOrEqual(1_020);
    expect(errorDetails(answer).metadata.service).toHaveLength(256);
  }
  const cut = toStatus(new StateError('no-such-service', `${'a'.repeat(999)}\u{1f600}`));
  expect(cut?.details.endsWith('\ufffd')).toBe(true);
});

test('what is not there is named for programs too', () => {
  const answer = toStatus(new StateError('no-such-service', 'there is no service redis', [], { service: 'redis' }));
  expect(errorDetails(answer)).toEqual({ reason: 'NO_SUCH_SERVICE', metadata: { service: 'redis' }, fields: [] });
});

test('one that cannot be told in words is a fault of control, which goes on', () => {
  const nameless = { agent: undefined } as unknown as Record<string, string>;
  const error = new StateError('no-such-agent', 'there is no such agent', [], nameless);
  const logger = pino({ level: 'silent' });
  expect(statusFor(error, new AbortController().signal, '/x', logger).code).toBe(status.INTERNAL);
});
