import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasPromtool, promtool, selectedIn } from './promtool.ts';
import { type Metric, metricsIn, type Scrape, scrape } from './scrape.ts';
import { read } from './sources.ts';

interface Target {
  readonly expr: string;
  readonly datasource: { readonly uid: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Target[];
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const alerts = read('examples/prometheus/alerts.yaml');
const dashboard = JSON.parse(read('examples/grafana/weft.json')) as Dashboard;
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = [
  ...charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.flatMap(({ expr }) => expr ?? []),
];

let scraped: Scrape;
let metrics: ReadonlyMap<string, Metric>;

beforeAll(async () => {
  scraped = await scrape();
  metrics = new Map([...metricsIn(scraped.agent), ...metricsIn(scraped.control)]);
});

/** Of the metric itself, or of one of a histogram's three. */
function known(name: string): Metric | undefined {
  const histogram = metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
  return metrics.get(name) ?? (histogram?.type === 'histogram' ? histogram : undefined);
}

/** Of the scrape, and of every histogram. */
const ADDED = new Set(['job', 'instance', 'le']);

function strangers(text: string): string[] {
  return selectedIn(text).flatMap(({ metric, labels }) => {
    const told = known(metric);
    if (told === undefined) return [metric];
    const wrong = told.sampled ? labels.filter((label) => !told.labels.has(label) && !ADDED.has(label)) : [];
    return wrong.map((label) => `${metric}{${label}}`);
  });
}

test('a name that no program tells is found', () => {
  expect(strangers('rate(weft_agent_flows_opened_totals[5m]) + weft_agent_connected{host="a"}')).toEqual([
    'weft_agent_flows_opened_totals',
    'weft_agent_connected{host}',
  ]);
});

test('the alerts ask for what the programs tell', () => {
  expect(selectedIn(alerts).length).toBeGreaterThan(20);
  expect(strangers(alerts)).toEqual([]);
  expect(strangers(read('examples/prometheus/alerts.test.yaml'))).toEqual([]);
});

test('every alert is tested, and says what it means and what to do', () => {
  const rules = alerts.split('- alert: ').slice(1);
  const tested = read('examples/prometheus/alerts.test.yaml');
  expect(rules.length).toBeGreaterThan(15);
  for (const rule of rules) {
    const [name = ''] = rule.split('\n');
    for (const part of ['severity', 'summary', 'description', 'action']) expect(rule, name).toContain(`${part}: `);
    expect(tested).toContain(`alertname="${name}"`);
  }
});

describe('the dashboard', () => {
  test('asks for what the programs tell', () => {
    expect(strangers(expressions.join('\n'))).toEqual([]);
    expect(strangers(dashboard.templating.list.map(({ definition = '' }) => definition).join('\n'))).toEqual([]);
  });

  test('shows nearly all of it', () => {
    const shown = new Set(
      expressions.flatMap((expression) => selectedIn(expression).map(({ metric }) => known(metric)?.name)),
    );
    const own = [...metrics.keys()].filter((name) => name.startsWith('weft_'));
    expect(own.filter((name) => shown.has(name)).length).toBeGreaterThan(own.length * 0.75);
  });

  test('is of a current Grafana, and each panel says what it shows, in what', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(41);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, description, fieldConfig, targets = [] } of charts) {
      expect(description, title).toMatch(/\.$/);
      expect(fieldConfig?.defaults.unit, title).toBeTruthy();
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { datasource } of targets) expect(datasource.uid).toBe(`\${datasource}`);
    }
  });

  test('lays no panel over another', () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), title).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    }
  });

  test('asks for no variable that it does not have', () => {
    const names = new Set([...dashboard.templating.list.map(({ name }) => name), '__rate_interval', '__all']);
    const asked = JSON.stringify(dashboard).matchAll(/\$(?:\{(\w+)\}|([a-z_]\w*))/g);
    for (const [, braced, plain = ''] of asked) expect(names).toContain(braced ?? plain);
  });
});

describe.skipIf(!hasPromtool)('promtool (skipped where the Debian package prometheus is not installed)', () => {
  test('takes the rules and the configuration', () => {
    expect(promtool(['check', 'rules', 'alerts.yaml'])).toContain('SUCCESS');
    expect(promtool(['check', 'config', 'prometheus.yaml'])).toContain('SUCCESS');
  });

  test('finds that the alerts fire when they should', () => {
    expect(promtool(['test', 'rules', 'alerts.test.yaml'])).toContain('SUCCESS');
  });

  test("takes the dashboard's expressions", () => {
    const rules = expressions.map((expression, at) => {
      const filled = expression.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*');
      return `    - { record: "panel:n${at}", expr: ${JSON.stringify(filled)} }`;
    });
    const directory = mkdtempSync(join(tmpdir(), 'weft-docs-'));
    const file = join(directory, 'panels.yaml');
    writeFileSync(file, `groups:\n- name: panels\n  rules:\n${rules.join('\n')}\n`);
    try {
      expect(promtool(['check', 'rules', '--lint=none', file])).toContain(`${rules.length} rules found`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('finds nothing wrong with what the agent and control tell', () => {
    promtool(['check', 'metrics'], scraped.agent);
    promtool(['check', 'metrics'], scraped.control);
  });
});
