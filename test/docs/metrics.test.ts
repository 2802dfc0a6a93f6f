import { beforeAll, describe, expect, test } from 'vitest';
import { type Metric, metricsIn, type Scrape, scrape } from './scrape.ts';
import { codes, read, tableRows } from './sources.ts';

const document = read('docs/METRICS.md');
const labelsTold = new Set(tableRows(document, '## Labels').flatMap(([labels]) => codes(labels)));

let scraped: Scrape;

beforeAll(async () => {
  scraped = await scrape();
});

/** Names of what both programs tell alike; the star stands for the program. */
function shared(program: string): ReadonlyMap<string, readonly string[]> {
  return rowsOf('Both', (name) => name.replace('*', program));
}

function rowsOf(heading: string, named = (name: string) => name): ReadonlyMap<string, readonly string[]> {
  return new Map(tableRows(document, `## ${heading}`).map((row) => [named(codes(row[0])[0] ?? ''), row]));
}

describe.each([
  ['Agent', 'agent'],
  ['Control', 'control'],
] as const)('METRICS.md, %s', (heading, program) => {
  test('has each metric once, in order, and no other', () => {
    const told = [...metricsIn(scraped[program]).keys()];
    const own = rowsOf(heading);
    const rows = tableRows(document, `## ${heading}`).map(([name]) => codes(name)[0] ?? '');
    expect(new Set([...own.keys(), ...shared(program).keys()])).toEqual(new Set(told));
    expect(rows).toHaveLength(own.size);
    expect(rows).toEqual([...rows].sort((a, b) => (a < b ? -1 : 1)));
  });

  test('tells types and labels as they are', () => {
    const rows = new Map([...rowsOf(heading), ...shared(program)]);
    for (const metric of metricsIn(scraped[program]).values()) {
      const [, type, labels] = rows.get(metric.name) ?? [];
      expect(type, metric.name).toBe(metric.type);
      if (metric.sampled) expect(new Set(codes(labels)), metric.name).toEqual(metric.labels);
    }
  });

  test('bounds every label', () => {
    const labels = [...metricsIn(scraped[program]).values()].flatMap((metric: Metric) => [...metric.labels]);
    expect([...new Set(labels)].filter((label) => !labelsTold.has(label))).toEqual([]);
  });
});

test('a flow that went well, one denied and one failed are counted', () => {
  const series = 'source="web",service="redis",reporter="source"';
  expect(scraped.agent).toContain(`weft_agent_flows_opened_total{${series}} 2\n`);
  expect(scraped.agent).toContain(`weft_agent_flows_denied_total{${series}} 1\n`);
  expect(scraped.agent).toContain(`weft_agent_flows_failed_total{${series},outcome="not-listening"} 1\n`);
});
