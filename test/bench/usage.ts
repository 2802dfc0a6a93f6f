/** Wrong usage. */
export class UsageError extends Error {
  readonly code = 'usage';
}
