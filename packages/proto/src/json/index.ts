/**
 * proto3 JSON of the admin service's messages, to and from the bytes that the wire's own codecs read and write. Control loads it with the
 * first call that comes as JSON.
 */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type JsonValue,
  toBinary,
  toJson,
  toJsonString,
} from '@bufbuild/protobuf';
import { isFieldError } from '@bufbuild/protobuf/reflect';
import * as details from '#messages/google/rpc/error_details_pb';
import { AdminService } from '#messages/weft/v1/admin_pb';
import { quote } from '../model/problem.ts';
import { WireError } from '../wire/errors.ts';

export interface JsonMethod {
  /** A request's text as bytes. Throws WireError, with the path of the field: a key that is not known is refused. */
  read(text: string): Uint8Array;
  /** An answer's bytes as text. */
  write(bytes: Uint8Array): string;
}

/** By their paths, such as `/weft.v1.AdminService/GetStatus`. */
export const jsonMethods: ReadonlyMap<string, JsonMethod> = new Map(
  AdminService.methods.map(({ name, input, output }): [string, JsonMethod] => [
    `/${AdminService.typeName}/${name}`,
    {
      read: (text) => readRequest(input, text),
      write: (bytes) => toJsonString(output, fromBinary(output, bytes)),
    },
  ]),
);

/** A detail of an error, by its type's name without what stands before it; undefined for one that is not known. */
export function jsonDetail(typeName: string, bytes: Uint8Array): JsonValue | undefined {
  const schema = [details.ErrorInfoSchema, details.BadRequestSchema, details.RetryInfoSchema].find(
    (one) => one.typeName === typeName,
  ) as DescMessage | undefined;
  return schema === undefined ? undefined : toJson(schema, fromBinary(schema, bytes));
}

/** Objects and lists of one request. No valid one comes near: each takes some 20 characters there. */
const MOST_BRACKETS = 400_000;
const LONGEST_KEY = 64;

function readRequest(schema: DescMessage, text: string): Uint8Array {
  // Some millions of empty ones fit into what may be sent, and take seconds and a gigabyte to read.
  if (brackets(text) > MOST_BRACKETS) {
    throw new WireError('wire-length', 'request', `expected at most ${MOST_BRACKETS} objects and lists`);
  }
  try {
    return toBinary(schema, fromJsonString(schema, text));
  } catch (error) {
    // Looked for only where it is known that something is wrong.
    const known = unknown(schema, parsed(text));
    if (known !== undefined) throw new WireError(known.code, known.field, known.message, error);
    const cause = error instanceof Error ? error.cause : undefined;
    const field = isFieldError(cause) ? cause.field().name : 'request';
    throw new WireError('wire-form', field, quote(String((cause ?? error) as Error)), error);
  }
}

function brackets(text: string): number {
  let count = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at !== -1 && count <= MOST_BRACKETS; at = text.indexOf(bracket, at + 1))
      count += 1;
  }
  return count;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Unknown {
  readonly code: 'wire-key' | 'wire-enum';
  /** Its path, in the caller's own words. */
  readonly field: string;
  readonly message: string;
}

/** The first key that no field has, or name that its enum has not. Paths are put together of what is found alone. */
function unknown(schema: DescMessage, json: unknown): Unknown | undefined {
  // Well-known types have a form of their own in JSON.
  if (typeof json !== 'object' || json === null || schema.typeName.startsWith('google.protobuf.')) return undefined;
  for (const key of Object.keys(json)) {
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    const shown = key.length > LONGEST_KEY ? `${key.slice(0, LONGEST_KEY)}…` : key;
    if (field === undefined) return { code: 'wire-key', field: shown, message: 'there is no such field' };
    const value = (json as Record<string, unknown>)[key];
    if (!Array.isArray(value)) {
      const found = unknownIn(field, value);
      if (found !== undefined) return below(shown, found);
      continue;
    }
    for (const [index, each] of value.entries()) {
      const found = unknownIn(field, each);
      if (found !== undefined) return below(`${shown}[${index}]`, found);
    }
  }
  return undefined;
}

function unknownIn(field: DescField, value: unknown): Unknown | undefined {
  if (field.message !== undefined) return unknown(field.message, value);
  if (field.enum === undefined || typeof value !== 'string') return undefined;
  const names = field.enum.values.map(({ name }) => name);
  if (names.includes(value)) return undefined;
  return { code: 'wire-enum', field: '', message: `expected one of ${names.join(', ')}` };
}

function below(path: string, found: Unknown): Unknown {
  return { ...found, field: found.field === '' ? path : `${path}.${found.field}` };
}
