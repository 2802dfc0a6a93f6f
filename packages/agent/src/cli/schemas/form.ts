/** How the schemas of answers are written: in the model's words, of which JSON has the ones with underscores. */
import { ACTOR_KINDS, type FieldProblem, REPORTED_PROTOCOLS } from '@weft/proto';
import { z } from 'zod';
import type { FileProblem } from '../../config/errors.ts';

/** Marks what is written with underscores, unlike the keys of a mesh file. */
export const TOLD = 'told';

/** A map with these keys; more may come, and none goes. */
export function told<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.object(shape).meta({ [TOLD]: true });
}

export function list<Value extends z.ZodType>(value: Value) {
  return z.array(value).readonly();
}

export const text = z.string();
export const texts = list(text);
export const flag = z.boolean();
export const count = z.int().nonnegative();
export const revision = count.describe('number of a revision of the mesh');
export const bytes = count.describe('bytes');
export const timeMs = count.describe('milliseconds since the Unix epoch; 0: never, or not known');
export const spanMs = count.describe('milliseconds');
export const spanUs = count.describe('microseconds');
export const port = count.max(65_535);
export const protocol = z.enum(REPORTED_PROTOCOLS);
export const ports = texts.describe('ports as the mesh file writes them: 6379, 8125/udp, 9000-9010/tcp');

export const actor = told({ kind: z.enum([...ACTOR_KINDS, 'other']), name: text });

/** A place in a file. */
export const fileProblem = told({
  line: count.describe('from 1; 0 when it is not at a line'),
  column: count,
  message: text,
} satisfies Record<keyof FileProblem, z.ZodType>);

export const fieldProblem = told({
  field: text.describe('such as policies[0].to'),
  message: text,
} satisfies Record<keyof FieldProblem, z.ZodType>);

/** Who has not taken up a change. */
export const takenUp = {
  stragglers: texts.describe(
    'connected hosts that do not enforce it yet, and those that are away from which it takes something',
  ),
  notKept: texts.describe('hosts that enforce it and cannot keep it on their disk'),
};
