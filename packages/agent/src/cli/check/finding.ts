/** What came of one look at this host. */

export const RESULTS = ['ok', 'hint', 'unknown', 'broken'] as const;
export const AREAS = [
  'agent',
  'control',
  'clock',
  'names',
  'ports',
  'peer',
  'target',
  'exposure',
  'files',
  'directory',
  'unit',
  'problem',
] as const;

export interface Finding {
  readonly area: (typeof AREAS)[number];
  /** What of it, such as an address; empty where there is but one. */
  readonly subject: string;
  /** `hint`: it works and might not; `unknown`: it could not be looked at. */
  readonly result: (typeof RESULTS)[number];
  readonly message: string;
  /** What to do; empty where there is nothing to do. */
  readonly remedy: string;
}

/** Makes the findings of one area. */
export function findingsOf(area: Finding['area']) {
  const as = (result: Finding['result']) => (subject: string, message: string, remedy: string) => {
    return { area, subject, result, message, remedy };
  };
  const [ok, unknown] = [as('ok'), as('unknown')];
  return {
    ok: (subject: string, message: string): Finding => ok(subject, message, ''),
    unknown: (subject: string, message: string): Finding => unknown(subject, message, ''),
    hint: as('hint'),
    broken: as('broken'),
  };
}
