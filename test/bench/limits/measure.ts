/** Measures bounds one after the other. One that fails is told of, and the others are measured all the same. */
import { messageOf } from '@weft/proto';
import type { Limit } from './limit.ts';

export interface LimitFigures {
  readonly name: string;
  readonly what: string;
  readonly target: string;
  /** Undefined when it could not be measured; `detail` says why. */
  readonly value: number | undefined;
  readonly unit: string;
  readonly reached: boolean | undefined;
  readonly detail: string;
  readonly failed: boolean;
}

export async function measureLimits(
  limits: readonly Limit[],
  quick: boolean,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<readonly LimitFigures[]> {
  const figures: LimitFigures[] = [];
  for (const limit of limits) {
    signal.throwIfAborted();
    tell(limit.what);
    figures.push(await figuresOf(limit, quick, signal));
  }
  return figures;
}

async function figuresOf(limit: Limit, quick: boolean, signal: AbortSignal): Promise<LimitFigures> {
  const { name, what, target } = limit;
  const none = { name, what, target, value: undefined, unit: '', reached: undefined };
  try {
    const missing = await limit.missing?.();
    if (missing !== undefined) return { ...none, detail: missing, failed: false };
    return { name, what, target, ...(await limit.measure(quick, signal)), failed: false };
  } catch (error) {
    signal.throwIfAborted();
    return { ...none, detail: messageOf(error), failed: true };
  }
}
