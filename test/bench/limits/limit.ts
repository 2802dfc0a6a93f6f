import { median } from '../statistics.ts';

/** A bound in absolute terms: what is measured, what is to be reached, and how it came out. */
export interface Limit {
  readonly name: string;
  /** One plain sentence. */
  readonly what: string;
  readonly target: string;
  /** Why it cannot be measured here, or undefined when it can. */
  missing?(): Promise<string | undefined>;
  /** Ends all it started, also when the signal is aborted or it fails. */
  measure(quick: boolean, signal: AbortSignal): Promise<Measured>;
}

export interface Measured {
  readonly value: number;
  readonly unit: string;
  readonly reached: boolean;
  /** What the value alone does not say, for people. */
  readonly detail: string;
}

/** Memory and file limits are read from /proc, and 127.0.0.0/8 is wholly local there. */
export async function notLinux(): Promise<string | undefined> {
  return process.platform === 'linux' ? undefined : 'reads /proc, and so needs Linux';
}

export function medianOf(values: readonly number[]): number {
  return median(values) ?? Number.NaN;
}
