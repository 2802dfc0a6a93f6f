/**
 * proto3 JSON of the admin service's messages, to and from the bytes that the wire's own codecs read and write. Control loads it with the
 * first call that comes as JSON.
 */
import {
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

function readRequest(schema: DescMessage, text: string): Uint8Array {
  try {
    return toBinary(schema, fromJsonString(schema, text));
  } catch (error) {
    // Looked for only where it is known that something is wrong.
    const known = unknown(schema, parsed(text), '');
    if (known !== undefined) throw new WireError(known.code, known.field, known.message, error);
    const cause = error instanceof Error ? error.cause : undefined;
    const field = isFieldError(cause) ? cause.field().name : 'request';
    throw new WireError('wire-form', field, quote(String((cause ?? error) as Error)), error);
  }
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

/** The first key that no field has, or name that its enum has not. */
function unknown(schema: DescMessage, json: unknown, at: string): Unknown | undefined {
  // Well-known types have a form of their own in JSON.
  if (typeof json !== 'object' || json === null || schema.typeName.startsWith('google.protobuf.')) return undefined;
  for (const [key, value] of Object.entries(json)) {
    const path = `${at}${key.length > 64 ? `${key.slice(0, 64)}…` : key}`;
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (field === undefined) return { code: 'wire-key', field: path, message: 'there is no such field' };
    const names = field.enum?.values.map(({ name }) => name);
    const entries: [string, unknown][] = Array.isArray(value)
      ? value.map((each, index) => [`${path}[${index}]`, each])
      : [[path, value]];
    for (const [entry, each] of entries) {
      if (typeof each === 'string' && names?.includes(each) === false) {
        return { code: 'wire-enum', field: entry, message: `expected one of ${names.join(', ')}` };
      }
      const found = field.message === undefined ? undefined : unknown(field.message, each, `${entry}.`);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
