/**
 * proto3 JSON of the admin service's messages, to and from the bytes that the wire's own codecs read and write. Control loads it with the
 * first call that comes as JSON.
 */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
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
import { WireError, Wrongs } from '../wire/errors.ts';

export interface JsonMethod {
  /** A request's text as bytes. Throws WireError, with the paths of the fields: a key that is not known is refused. */
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
    const wrong = formError(error);
    const json = parsed(text);
    if (!isMap(json)) throw wrong;
    const search = new Search();
    search.message(schema, json, '', wrong);
    search.end();
    throw wrong;
  }
}

function formError(error: unknown, place?: string): WireError {
  const cause = error instanceof Error ? error.cause : undefined;
  const field = place ?? (isFieldError(cause) ? cause.field().name : 'request');
  return new WireError('wire-form', field, quote(String((cause ?? error) as Error)), error);
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

/**
 * For every key that no field has, and every value that is none of its field. What is right as a whole is not looked into, so that this
 * takes some times as long as to read it. Paths are in the caller's own words, and put together of what is found alone.
 */
class Search {
  readonly #wrongs = new Wrongs();

  /** `error` is what is wrong with it, if nothing within is. */
  message(schema: DescMessage, json: object, path: string, error: WireError): void {
    let right = true;
    for (const [key, value] of Object.entries(json)) {
      if (this.#wrongs.full) return;
      const shown = key.length > LONGEST_KEY ? `${key.slice(0, LONGEST_KEY)}…` : key;
      const at = path === '' ? shown : `${path}.${shown}`;
      const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
      if (field === undefined) this.#found(new WireError('wire-key', at, 'there is no such field'));
      else if (!this.#value(schema, field, value, value, at)) right = false;
      right &&= field !== undefined;
    }
    if (right) this.#found(error);
  }

  /** Throws WireError. */
  end(): void {
    this.#wrongs.throwIfAny();
  }

  /** Whether it is right. `whole`: as it stands in its message. */
  #value(schema: DescMessage, field: DescField, value: unknown, whole: unknown, at: string): boolean {
    const error = errorOf(schema, { [field.name]: whole as JsonValue }, at);
    if (error === undefined) return true;
    const { message, enum: words } = field;
    if (field.fieldKind === 'list' && Array.isArray(value) && whole === value) {
      const right = Array.from(value, (each, index) => {
        return this.#wrongs.full || this.#value(schema, field, each, [each], `${at}[${index}]`);
      });
      if (!right.includes(false)) this.#found(error);
    } else if (message !== undefined && isMap(value) && !message.typeName.startsWith('google.protobuf.')) {
      // Well-known types have a form of their own in JSON.
      this.message(message, value, at, error);
    } else {
      const names = words?.values.map(({ name }) => name);
      const unknown = names !== undefined && typeof value === 'string' && !names.includes(value);
      this.#found(unknown ? new WireError('wire-enum', at, `expected one of ${names.join(', ')}`) : error);
    }
    return false;
  }

  #found(error: WireError): void {
    this.#wrongs.read(() => {
      throw error;
    });
  }
}

/** Undefined where it is right, also in bytes: a text that is no UTF-8 is seen there alone. */
function errorOf(schema: DescMessage, json: JsonValue, at: string): WireError | undefined {
  try {
    toBinary(schema, fromJson(schema, json));
    return undefined;
  } catch (error) {
    return formError(error, at);
  }
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
