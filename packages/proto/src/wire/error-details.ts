/**
 * Errors with details that programs read, as google.rpc's error model has them (AIP-193): a Status in the trailing metadata
 * grpc-status-details-bin, with an ErrorInfo, a BadRequest and a RetryInfo where there is something to say.
 */
import { Metadata, type ServiceError, type StatusObject, type status } from '@grpc/grpc-js';
import { ERROR_DOMAIN, type ErrorDetails, type FieldProblem } from '../model/problem.ts';
import { google } from './generated.ts';
import type * as pb from './pb.ts';
import { durationToWire } from './time.ts';

const KEY = 'grpc-status-details-bin';
const TYPES = 'type.googleapis.com/google.rpc.';

/** HTTP/2 peers refuse header blocks of more than 16 KiB or so; base64 adds a third, and the message stands beside it. */
const MAX_BYTES = 6 * 1024;
const MAX_DETAILS = 1_000;
/** Characters of a name or a number that an error is about. */
const MAX_ABOUT = 256;

export function problemsFromWire(messages: readonly pb.Outgoing<pb.FieldMessage>[] | null | undefined): FieldProblem[] {
  return (messages ?? []).map(({ field, message }) => ({ field: field ?? '', message: message ?? '' }));
}

/**
 * `code` is a stable word, such as `token-expired`. As many fields as fit go along, the first of them first, and the metadata `fields` says how
 * many there were where not all do, or those given are the first of more, as it says itself then; the first stands for the message then.
 */
export function errorStatus(
  code: status,
  message: string,
  { reason, metadata = {}, fields = [], retryMs }: Partial<ErrorDetails> & Pick<ErrorDetails, 'reason'>,
): StatusObject {
  const count = 'fields' in metadata ? Number(metadata.fields) : fields.length;
  const details = cut(fields.length === 0 ? message : describe(fields, count), MAX_DETAILS);
  const fieldViolations = fitting(fields);
  const about = fieldViolations.length < count ? { ...metadata, fields: `${count}` } : metadata;
  const info = { reason: reason.toUpperCase().replaceAll('-', '_'), domain: ERROR_DOMAIN, metadata: bounded(about) };
  const packed = [any('ErrorInfo', google.rpc.ErrorInfo.encode(info))];
  if (fields.length > 0) packed.push(any('BadRequest', google.rpc.BadRequest.encode({ fieldViolations })));
  if (retryMs !== undefined) {
    packed.push(any('RetryInfo', google.rpc.RetryInfo.encode({ retryDelay: durationToWire(retryMs) })));
  }
  const trailer = new Metadata();
  trailer.set(KEY, Buffer.from(google.rpc.Status.encode({ code, message: details, details: packed }).finish()));
  return { code, details, metadata: trailer };
}

export interface StatusDetail {
  /** Full name of its message, such as `google.rpc.ErrorInfo`. */
  readonly type: string;
  readonly value: Uint8Array;
}

/** The details of a status, encoded each. Throws on what is none. */
export function statusDetails({ metadata }: { readonly metadata?: unknown }): StatusDetail[] {
  const [value] = metadata instanceof Metadata ? metadata.get(KEY) : [];
  if (!(value instanceof Uint8Array)) return [];
  return google.rpc.Status.decode(value).details.map(({ type_url: type, value: bytes }) => {
    return { type: (type ?? '').slice((type ?? '').lastIndexOf('/') + 1), value: bytes ?? new Uint8Array() };
  });
}

/** What an error carries, as far as it can be read: the status itself says in words what is wrong. */
export function errorDetails(error: unknown): ErrorDetails {
  const found = { reason: '', metadata: {}, fields: [] as FieldProblem[] };
  try {
    for (const { type, value: bytes } of statusDetails((error ?? {}) as Partial<ServiceError>)) {
      if (type === 'google.rpc.ErrorInfo') {
        const { reason, domain, metadata: about } = google.rpc.ErrorInfo.decode(bytes);
        if (domain === ERROR_DOMAIN) Object.assign(found, { reason, metadata: about });
      } else if (type === 'google.rpc.BadRequest') {
        const violations = google.rpc.BadRequest.decode(bytes).fieldViolations;
        found.fields = violations.map(({ field, description }) => ({ field: field ?? '', message: description ?? '' }));
      } else if (type === 'google.rpc.RetryInfo') {
        const { seconds = 0, nanos = 0 } = google.rpc.RetryInfo.decode(bytes).retryDelay ?? {};
        Object.assign(found, { retryMs: Number(seconds) * 1_000 + Number(nanos) / 1e6 });
      }
    }
  } catch {
    return found;
  }
  return found;
}

/** Without half of a character: grpc-js throws at one, and that would end control. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function cut(text: string, most: number): string {
  return wellFormed(text.slice(0, most));
}

/** What is asked for may be as long as a request. */
function bounded(metadata: ErrorDetails['metadata']): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, cut(value, MAX_ABOUT)]));
}

function any(
  name: string,
  writer: { finish(): Uint8Array },
): { readonly type_url: string; readonly value: Uint8Array } {
  return { type_url: `${TYPES}${name}`, value: writer.finish() };
}

function fitting(fields: readonly FieldProblem[]): { readonly field: string; readonly description: string }[] {
  let size = 0;
  const fit = fields.findIndex(({ field, message }) => {
    size += Buffer.byteLength(field) + Buffer.byteLength(message) + 16;
    return size > MAX_BYTES;
  });
  return fields
    .slice(0, fit === -1 ? fields.length : fit)
    .map(({ field, message }) => ({ field, description: message }));
}

function describe([first]: readonly FieldProblem[], count: number): string {
  if (first === undefined) return 'invalid request';
  const words = cut(`${first.field}: ${first.message}`, MAX_DETAILS - 20);
  return count === 1 ? words : `${words} (and ${count - 1} more)`;
}
