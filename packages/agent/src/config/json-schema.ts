/** Both files as JSON Schema, for editors: made from the sections that read them, so that the two cannot differ. */
import { z } from 'zod';
import { fileSection } from './agent-file.ts';
import { meshSection } from './mesh-file.ts';
import { ALSO_ALONE, ALSO_NULL } from './schema.ts';

export const FILE_SORTS = ['mesh', 'agent'] as const;
export type FileSort = (typeof FILE_SORTS)[number];

/** What passes it may still be wrong in what a schema cannot say, which `weft lint` does; what fails it is refused. */
export function jsonSchemaOf(sort: FileSort): JsonSchema {
  const schema = toJsonSchema(sort === 'mesh' ? meshSection : fileSection);
  const title = sort === 'mesh' ? 'Weft mesh file: what control is told' : 'Weft agent file: what runs on a host';
  return { title, ...schema, ...(sort === 'agent' && { type: ['object', 'null'] }) };
}

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** `change` may have its way with each part of it. */
export function toJsonSchema(schema: z.ZodType, change: (part: JsonSchema) => void = () => {}): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      const { [ALSO_NULL]: alsoNull, [ALSO_ALONE]: alsoAlone, type } = jsonSchema;
      delete jsonSchema[ALSO_NULL];
      delete jsonSchema[ALSO_ALONE];
      if (alsoNull === true) Object.assign(jsonSchema, { type: [type, 'null'] });
      if (alsoAlone !== undefined) {
        const { items } = jsonSchema;
        delete jsonSchema.type;
        delete jsonSchema.items;
        Object.assign(jsonSchema, { anyOf: [{ const: alsoAlone }, { type, items }] });
      }
      change(jsonSchema);
    },
  });
}
