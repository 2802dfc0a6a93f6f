/**
 * What the schemas of both files share: how a section, a list or a choice is declared, how ports and addresses are written, and
 * how a mistake is told. A parser answers with a sentence when it cannot read its input.
 */
import {
  FormatError,
  type HostPort,
  isIP,
  type PortRange,
  type Protocol,
  parsePort as parseRange,
  parseRulePorts as parseRuleRange,
  type RulePorts,
  parseHostPort as splitHostPort,
} from '@weft/proto';
import { z } from 'zod';
import type { YamlFile } from './document.ts';
import { FileError, type FileProblem } from './errors.ts';
import { didYouMean } from './suggest.ts';

/** Keywords of JSON Schema, for what only a parser knows. */
export type JsonForm = Readonly<Record<string, unknown>>;

/** Of what may also stand there with nothing in it; `type` tells that to JSON Schema. */
export const ALSO_NULL = 'alsoNull';

/** Of a list, the one word that may stand in its place. */
export const ALSO_ALONE = 'alsoAlone';

const NAME: JsonForm = { pattern: '^[a-z0-9][a-z0-9-]*$' };
export const PORT_FORM = {
  type: ['integer', 'string'],
  minimum: 1,
  maximum: 65_535,
  pattern: '^[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp))?$',
} as const satisfies JsonForm;
export const HOST_PORT_FORM: JsonForm = { type: 'string', pattern: ':[0-9]{1,5}$' };

/** A map with known keys only. `explain` gives unknown keys that deserve more than a suggestion their own sentence. */
export function section<Shape extends z.ZodRawShape>(shape: Shape, explain: Readonly<Record<string, string>> = {}) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return expected('a map', issue.input);
      // One line a key, in the order of issue.keys; problemsOf() takes them apart again.
      return issue.keys.map((key) => explain[key] ?? unknownKey(key, known)).join('\n');
    },
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key ${JSON.stringify(key)}${didYouMean(key, known)} (known here: ${known.join(', ')})`;
}

/** A map from names to sections. `form` is what JSON Schema says of the names. */
export function named<Value extends z.ZodType>(value: Value, what: string, form: JsonForm = NAME) {
  return z.record(z.string().meta(form), value, { error: (issue) => expected(`a map of ${what}`, issue.input) });
}

export function list<Value extends z.ZodType>(value: Value, what: string) {
  return z.array(value, { error: (issue) => expected(`a list of ${what}`, issue.input) });
}

/** May be left away, or stand there with nothing in it: its entries are then commented out. */
export function maybe<Value extends z.ZodType>(value: Value) {
  return z
    .preprocess((input) => input ?? undefined, value.optional())
    .meta({ [ALSO_NULL]: true })
    .optional();
}

export function text(what: string) {
  return z.string({ error: (issue) => expected(what, issue.input) });
}

export function choice<const Values extends readonly [string, ...string[]]>(values: Values) {
  const words = values.length === 1 ? values[0] : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  return z.enum(values, {
    error: (issue) =>
      expected(words, issue.input) + (typeof issue.input === 'string' ? didYouMean(issue.input, values) : ''),
  });
}

/** A value that a parser makes something of. `form` is what JSON Schema can say of it: never less than the parser takes. */
export function parsed<Value extends object>(parse: (input: unknown) => Value | string, form: JsonForm) {
  return z
    .unknown()
    .transform((input, context): Value => {
      const result = parse(input);
      if (typeof result !== 'string') return result;
      context.issues.push({ code: 'custom', message: result, input });
      return z.NEVER;
    })
    .meta(form);
}

/** Reads 6379, "6379", "8125/udp", "5000-5010/tcp". Without a transport it is TCP. */
export function parsePorts(input: unknown): PortRange | string {
  return read(input, parseRange);
}

/** The same of a rule: without a transport it is both. */
export function parseRulePorts(input: unknown): RulePorts | string {
  return read(input, parseRuleRange);
}

function read<Ports>(input: unknown, parse: (input: string | number) => Ports): Ports | string {
  if (typeof input !== 'number' && typeof input !== 'string') {
    return expected('a port such as 6379, 8125/udp or 5000-5010/tcp', input);
  }
  return orSentence(() => parse(input));
}

/** What it reads, or what is wrong with it in words. */
export function orSentence<Value>(read: () => Value): Value | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** Reads one port: as parsePorts, but no range. */
export function parsePort(input: unknown): { port: number; protocol: Protocol } | string {
  const range = parsePorts(input);
  if (typeof range === 'string') return range;
  if (range.first !== range.last) return expected('one port, such as 6379 or 8125/udp', input);
  return { port: range.first, protocol: range.protocol };
}

/** Reads 127.0.0.1:6379, [::1]:6379 and name:6379. Port 0 asks the system for a free one where `free` allows it. */
export function parseHostPort(input: unknown, free: 'no-free-port' | 'free-port' = 'no-free-port'): HostPort | string {
  const address = typeof input === 'string' ? splitHostPort(input) : undefined;
  if (address === undefined) return expected('HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379', input);
  return address.port === 0 && free === 'no-free-port' ? 'expected a port from 1 to 65535, found 0' : address;
}

/** Reads a resolver: 10.0.0.2, 10.0.0.2:5353, fe80::1%eth0 or [::1]:5353. Its port is 53 unless it says another. */
export function parseResolver(input: unknown): HostPort | string {
  const what = 'the address of a resolver, such as 10.0.0.2 or 10.0.0.2:5353';
  if (typeof input !== 'string') return expected(what, input);
  if (isIP(input) !== 0) return { host: input, port: 53 };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(input);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return isIP(host) !== 0 && port >= 1 && port <= 65_535 ? { host, port } : expected(what, input);
}

/** `expected a list of ports, found the number 6379`. */
export function expected(what: string, input: unknown): string {
  return input === undefined ? `missing; expected ${what}` : `expected ${what}, found ${found(input)}`;
}

function found(input: unknown): string {
  if (input === null) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  switch (typeof input) {
    case 'string':
      return JSON.stringify(input.length > 60 ? `${input.slice(0, 57)}...` : input);
    case 'object':
      return 'a map';
    default:
      return `the ${typeof input} ${String(input)}`;
  }
}

/** The value as the schema makes it. Throws FileError with every mistake and its place. */
export function validate<Schema extends z.ZodType>(yaml: YamlFile, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(yaml.value);
  if (result.success) return result.data;
  throw new FileError('file-invalid', yaml.file, problemsOf(yaml, result.error.issues));
}

function problemsOf(yaml: YamlFile, issues: readonly z.core.$ZodIssue[]): FileProblem[] {
  return issues.flatMap((issue): FileProblem[] => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') {
      const sentences = issue.message.split('\n');
      return issue.keys.map((key, index) => ({
        ...yaml.locateKey(path, key),
        message: prefix(path) + (sentences[index] ?? issue.message),
      }));
    }
    return [{ ...yaml.locate(path), message: prefix(path) + issue.message }];
  });
}

/** `services.redis.ports[0]: `, the path as the file's author would write it. */
export function prefix(path: readonly (string | number)[]): string {
  const words = formatPath(path);
  return words === '' ? '' : `${words}: `;
}

export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((sum, step) => {
    if (typeof step === 'number') return `${sum}[${step}]`;
    return sum === '' ? step : `${sum}.${step}`;
  }, '');
}
