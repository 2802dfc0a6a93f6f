/** What is wrong with one field, said so that it can be mended. */

export interface FieldProblem {
  /** Path in the mesh file's words, such as services.redis.ports[0]. */
  readonly field: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

export function problem(field: string, message: string): FieldProblem {
  return { field, message };
}
