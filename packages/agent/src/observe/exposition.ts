/** Prometheus's text format, 0.0.4: written straight from counts that are kept anyway, so that a scrape costs little. */
import type { HistogramCounts } from '../flows/histogram.ts';

export type Labels = Readonly<Record<string, string>>;

/** A name, `counter` or `gauge`, a sentence, and its values. */
export class Exposition {
  #text = '';

  get text(): string {
    return this.#text;
  }

  counter(name: string, help: string, values: Iterable<readonly [Labels, number]> | number): void {
    this.#family('counter', name, help, values);
  }

  gauge(name: string, help: string, values: Iterable<readonly [Labels, number]> | number): void {
    this.#family('gauge', name, help, values);
  }

  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    values: Iterable<readonly [Labels, HistogramCounts]>,
  ): void {
    this.#head('histogram', name, help);
    for (const [labels, { counts, sum }] of values) {
      let below = 0;
      for (const [bucket, count] of counts.entries()) {
        below += count;
        this.#value(`${name}_bucket`, { ...labels, le: String(bounds[bucket] ?? '+Inf') }, below);
      }
      this.#value(`${name}_sum`, labels, sum);
      this.#value(`${name}_count`, labels, below);
    }
  }

  #family(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    values: Iterable<readonly [Labels, number]> | number,
  ): void {
    this.#head(type, name, help);
    if (typeof values === 'number') this.#value(name, {}, values);
    else for (const [labels, value] of values) this.#value(name, labels, value);
  }

  #head(type: string, name: string, help: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  #value(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    this.#text += pairs.length === 0 ? `${name} ${value}\n` : `${name}{${pairs.join(',')}} ${value}\n`;
  }
}

const UNSAFE: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => UNSAFE[character] ?? '');
}
