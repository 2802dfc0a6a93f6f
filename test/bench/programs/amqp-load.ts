/**
 * amqp-load HOST PORT BYTES SECONDS: publishes messages of that size to a queue and consumes them from it, by two connections as two programs
 * would; each message is acknowledged, and at most 200 are on their way. Prints how many came, in how long, and how long half and 99 of 100 took.
 */
import { connect } from 'amqplib';
import { spread } from '../statistics.ts';

const [host = '', port = '', bytes = '1024', seconds = '1'] = process.argv.slice(2);
const ON_THEIR_WAY = 200;
const url = { protocol: 'amqp', hostname: host, port: Number(port), username: 'guest', password: 'guest' };
const [publisher, consumer] = await Promise.all([connect(url), connect(url)]);
const [out, into] = await Promise.all([publisher.createConfirmChannel(), consumer.createChannel()]);
const { queue } = await into.assertQueue('', { exclusive: true, durable: false });
await into.prefetch(ON_THEIR_WAY);

const body = Buffer.alloc(Number(bytes), 'm');
const times: number[] = [];
const start = performance.now();
const deadline = start + Number(seconds) * 1_000;
let onTheirWay = 0;
let consumed: (() => void) | undefined;

function publish(): void {
  while (onTheirWay < ON_THEIR_WAY && performance.now() < deadline) {
    onTheirWay += 1;
    body.writeDoubleLE(performance.now());
    out.sendToQueue(queue, Buffer.from(body), {}, (error: unknown) => {
      if (error) throw new Error('the broker refused a message', { cause: error });
    });
  }
  if (onTheirWay === 0) consumed?.();
}

await into.consume(queue, (message) => {
  if (message === null) throw new Error('the broker ended the consumer');
  times.push(performance.now() - message.content.readDoubleLE());
  into.ack(message);
  onTheirWay -= 1;
  publish();
});
await new Promise<void>((resolve) => {
  consumed = resolve;
  publish();
});
const elapsed = (performance.now() - start) / 1_000;
await out.waitForConfirms();
await Promise.all([publisher.close(), consumer.close()]);
process.stdout.write(`${JSON.stringify({ count: times.length, seconds: elapsed, ...spread(times) })}\n`);
