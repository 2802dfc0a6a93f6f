/** AMQP on a real RabbitMQ: messages published by one connection, and consumed and acknowledged by another. */
import { metered } from '../cpu.ts';
import type { Sample, Work } from '../types.ts';

const BYTES = 1_024;

interface Messages {
  readonly count: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export const amqpWork: Work = {
  name: 'amqp',
  title: 'AMQP, messages of 1 KiB published and consumed, 200 on their way',
  unit: 'messages/s',
  better: 'more',
  per: { label: '100k messages', amount: 1e5 },
  programs: [],
  servers: ['rabbit'],
  carriedBy: (path, stage) => path.tcp(stage.ports.rabbit) !== undefined,
  async run(stage, path, { aim }): Promise<Sample> {
    const to = path.tcp(stage.ports.rabbit);
    if (to === undefined) throw new Error('no way for TCP');
    const argv = ['node', 'test/bench/programs/amqp-load.ts', to.host, `${to.port}`, `${BYTES}`, `${aim}`];
    const [output, cpu] = await metered(path, () => stage.client.check(argv, { timeoutMs: (aim + 20) * 1_000 }));
    const { count, seconds, p50, p99 } = JSON.parse(output) as Messages;
    return { value: count / seconds, amount: count, cpu, beside: { 'p50, ms': p50, 'p99, ms': p99 } };
  },
};
