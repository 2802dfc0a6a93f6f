/**
 * What requests may hold, as JSON Schema that the server checks them by. Each description is the end of a sentence that begins
 * with "expected": the error that a caller reads is made of it.
 */
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';
import { DashboardError } from './errors.ts';

export type Schema = Readonly<Record<string, unknown>>;

export function text(least: number, most: number, description: string): Schema {
  return { type: 'string', minLength: least, maxLength: most, description };
}

/** An object with these and nothing else. */
export function closed(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', properties, required, additionalProperties: false, description: 'a JSON object' };
}

export const networkName = text(0, 63, 'the name of a network');

/**
 * Settings of the checker: nothing is changed to fit, and the schema is beside each error, for its description. That these schemas are well
 * formed is not checked at each start, which costs a quarter of a second of a core: a test does.
 */
export const AJV_OPTIONS = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  verbose: true,
  validateSchema: false,
} as const;

/** The first thing that is wrong, in words. */
export function wrongRequest(errors: readonly FastifySchemaValidationError[]): DashboardError {
  const [error] = errors as readonly (FastifySchemaValidationError & {
    readonly parentSchema?: { readonly description?: string; readonly properties?: Schema };
  })[];
  if (error === undefined) return new DashboardError('invalid', 'the request is not well formed');
  const { instancePath, keyword, params, parentSchema } = error;
  const field = instancePath
    .slice(1)
    .replace(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
  const names = Object.keys(parentSchema?.properties ?? {});
  if (keyword === 'additionalProperties') {
    const [wrong, right] = [String(params.additionalProperty).slice(0, 64), names.join(', ')];
    return new DashboardError('invalid', `${wrong}: there is no such parameter; there are: ${right || 'none'}`);
  }
  if (keyword === 'required') {
    const missing = String(params.missingProperty);
    return new DashboardError(
      'invalid',
      `${missing}: is missing; expected ${describe(parentSchema?.properties, missing)}`,
    );
  }
  return new DashboardError(
    'invalid',
    `${field || 'the body'}: expected ${parentSchema?.description ?? 'something else'}`,
  );
}

function describe(properties: Schema | undefined, name: string): string {
  const schema = properties?.[name] as { readonly description?: string } | undefined;
  return schema?.description ?? 'a value';
}
