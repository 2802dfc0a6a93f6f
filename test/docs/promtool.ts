/** Prometheus's own judge of rules, configuration and metrics, where it is installed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './sources.ts';

export const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

/** What it says of them; throws with what is wrong. */
export function promtool(args: readonly string[], input = ''): string {
  const cwd = join(ROOT, 'examples/prometheus');
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd, input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`promtool ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}

export interface Selected {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** The metrics of these programs that an expression asks for, and the labels that it asks for by name in braces. */
export function selectedIn(expression: string): readonly Selected[] {
  const found = expression.matchAll(/\b((?:weft_|process_|nodejs_)\w+)(?:\{([^{}]*)\})?/g);
  return Array.from(found, ([, metric = '', braces = '']) => ({
    metric,
    labels: Array.from(braces.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g), ([, label = '']) => label),
  }));
}
