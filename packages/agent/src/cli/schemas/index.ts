/** What each command says with `--json`: one schema each, which types what is written and which `weft schema COMMAND` prints. */
import type { z } from 'zod';
import { type JsonSchema, toJsonSchema } from '../../config/json-schema.ts';
import { snakeCase } from '../snake-case.ts';
import { explain, flows } from './flows.ts';
import { fieldProblem, fileProblem, list, TOLD, text, told } from './form.ts';
import { check, env, forward, guardStatus, ping, reload, status } from './host.ts';
import {
  agents,
  agentsRename,
  grant,
  revoke,
  services,
  tokenCreate,
  tokenList,
  tokenReplace,
  tokenRevoke,
} from './members.ts';
import { apply, audit, diff, get, history, lint, networkList, networkRemove, rollback } from './mesh.ts';

/** By the words of the command. */
export const ANSWERS = {
  'token create': tokenCreate,
  'token list': tokenList,
  'token replace': tokenReplace,
  'token revoke': tokenRevoke,
  apply,
  diff,
  get,
  history,
  rollback,
  audit,
  'network list': networkList,
  'network remove': networkRemove,
  lint,
  status,
  check,
  ping,
  reload,
  forward,
  env,
  'guard status': guardStatus,
  services,
  agents,
  'agents rename': agentsRename,
  flows,
  explain,
  grant,
  revoke,
  /** Of any of them, on stderr. */
  error: told({
    error: told({
      code: text,
      message: text,
      problems: list(fileProblem).optional().describe('of a file'),
      fields: list(fieldProblem).optional().describe('of what control was asked'),
    }),
  }),
} satisfies Record<string, z.ZodType>;

export type Answering = keyof typeof ANSWERS;
export const ANSWERING = Object.keys(ANSWERS) as Answering[];
/** Without the version, which is written before it. */
export type AnswerOf<Command extends Answering> = z.input<(typeof ANSWERS)[Command]>;

export function isAnswering(words: string): words is Answering {
  return Object.hasOwn(ANSWERS, words);
}

/** JSON Schema 2020-12. Within one version fields are only added, so that more than it knows is no fault. */
export function answerSchema(command: Answering): JsonSchema {
  const { $schema, ...schema } = toJsonSchema(ANSWERS[command], (part) => {
    // Of a list, that the program does not change it.
    delete part.readOnly;
    if (part[TOLD] !== true) return;
    delete part[TOLD];
    part.properties = Object.fromEntries(
      Object.entries(part.properties ?? {}).map(([key, value]) => [snakeCase(key), value]),
    );
    if (part.required !== undefined) part.required = part.required.map(snakeCase);
  });
  const title = command === 'error' ? 'weft: an error, with --json' : `weft ${command} --json`;
  return { $schema, title, ...withVersion(schema) } as JsonSchema;
}

function withVersion({ properties, required, anyOf, ...schema }: JsonSchema): JsonSchema {
  if (anyOf !== undefined) return { ...schema, anyOf: anyOf.map((one) => withVersion(one as JsonSchema)) };
  return {
    ...schema,
    properties: { version: { const: 1 }, ...properties },
    required: ['version', ...(required ?? [])],
  };
}
