/** What both programs tell Prometheus, asked of a small mesh with traffic: the text itself, and the metrics in it. */
import { freePort } from '../../examples/demo/ports.ts';
import { Mesh } from '../scenario/mesh.ts';
import { echo, ending, says } from '../scenario/programs.ts';

export interface Metric {
  readonly name: string;
  readonly type: string;
  /** Of its samples, but for what the type itself adds; empty when it has none. */
  readonly labels: ReadonlySet<string>;
  readonly sampled: boolean;
}

export interface Scrape {
  readonly agent: string;
  readonly control: string;
}

const MESH =
  'services:\n' +
  '  web: { kind: web, ports: [3000] }\n' +
  '  redis: { kind: private, ports: [6379, 6380, 6381] }\n' +
  'policies:\n' +
  '  - { name: no-admin, action: deny, from: [web], to: [redis], ports: [6381] }\n';

/** A flow that went well, one that was denied and one that failed, through a tunnel. */
export async function scrape(): Promise<Scrape> {
  const metrics = { host: '127.0.0.1', port: await freePort() };
  const ofControl = { host: '127.0.0.1', port: await freePort() };
  const program = await echo();
  const mesh = await Mesh.start(MESH, { metrics: ofControl });
  try {
    const { port } = program;
    await mesh.agent('data', { services: { redis: { 6379: port, 6380: 9, 6381: port } } });
    const front = await mesh.agent('front', { services: { web: { 3000: port } }, metrics });
    const socket = await front.connect('redis', 6379);
    await says(socket, 'hello');
    await ending(await front.connect('redis', 6380));
    await ending(await front.connect('redis', 6381));
    const [agent, control] = await Promise.all([textAt(metrics.port), textAt(ofControl.port)]);
    socket.destroy();
    return { agent, control };
  } finally {
    await mesh.close();
    await program.stop();
  }
}

async function textAt(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
  return text;
}

/** By name. */
export function metricsIn(text: string): ReadonlyMap<string, Metric> {
  const samples = Array.from(text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm), ([, name = '', labels = '']) => ({
    name,
    labels: Array.from(labels.matchAll(/(\w+)="/g), ([, label = '']) => label),
  }));
  const metrics = Array.from(text.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name = '', type = '']): [string, Metric] => {
    const mine = samples.filter((sample) => sample.name.replace(suffixOf(type), '') === name);
    const own = type === 'histogram' ? 'le' : '';
    const labels = new Set(mine.flatMap((sample) => sample.labels).filter((label) => label !== own));
    return [name, { name, type, labels, sampled: mine.length > 0 }];
  });
  return new Map(metrics);
}

function suffixOf(type: string): RegExp {
  return type === 'histogram' ? /_(bucket|sum|count)$/ : /$^/;
}
