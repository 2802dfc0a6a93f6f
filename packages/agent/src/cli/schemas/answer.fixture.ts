import { Ajv2020 } from 'ajv/dist/2020.js';
import { type Answering, answerSchema, isAnswering } from './index.ts';

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictTypes: false });
const known = new Map<Answering, ReturnType<typeof ajv.compile>>();

/** The command of a command line that has a schema, if any: its words stand first. */
export function answering(args: readonly string[]): Answering | undefined {
  return [args.slice(0, 2).join(' '), args[0] ?? ''].find(isAnswering);
}

/** Throws where the answer is not what its schema says, or has a field that the schema lacks. */
export function checkAnswer(command: Answering, text: string): void {
  const validate = known.get(command) ?? ajv.compile(closed(answerSchema(command)) as object);
  known.set(command, validate);
  if (!validate(JSON.parse(text)))
    throw new Error(`${command} --json is not as cli/schemas has it: ${ajv.errorsText(validate.errors)}\n${text}`);
}

/** A field that stands in no schema is forgotten, though whoever reads the schema has to bear new ones. */
function closed(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(closed);
  if (typeof part !== 'object' || part === null) return part;
  const open = 'properties' in part && !('additionalProperties' in part);
  const entries = Object.entries(part).map(([key, value]) => [key, closed(value)]);
  return { ...Object.fromEntries(entries), ...(open && { additionalProperties: false }) };
}
