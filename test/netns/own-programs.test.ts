/** Two services of one port: what a host's own program, there or not, does to calls that leave the host. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc');

const MESH = `
network: prod
services:
  config: { kind: private, ports: [8080, 8081/udp] }
  api:    { kind: private, ports: [8080, 8081/udp] }
`;

/** Says its host's name to who connects, or sends a datagram. */
const SAY = `
const [name, address] = process.argv.slice(1);
require('net').createServer((socket) => socket.on('error', () => {}).end(name)).listen(8080, address, () => {
  const udp = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (_, from) => udp.send(name, from.port, from.address));
  udp.bind(8081, address, () => console.log('ready'));
});`;

describe.skipIf(missing !== undefined)(titled('programs of one port', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let control: Control;
  /** Where api is declared, and its program is not there. */
  let second: Host;
  let agent: Agent;

  const serve = async (host: Host, address: string): Promise<Process> => {
    const program = host.start(['node', '-e', SAY, host.name, address]);
    await program.output(/ready/);
    return program;
  };

  beforeAll(async () => {
    const lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    const [first, third] = [await lab.host('first'), await lab.host('third')];
    second = await lab.host('second');
    await Promise.all([serve(first, '127.0.0.1'), serve(third, '127.0.0.1')]);
    [agent] = await Promise.all([
      Agent.join(control, second, ['api']),
      Agent.join(control, first, ['config']),
      Agent.join(control, third, ['api']),
    ]);
  });
  afterAll(async () => cleanup.disposeAsync());

  const call = async (service: string): Promise<string> => (await second.run(['nc', '-dw2', service, '8080'])).stdout;
  const ask = async (service: string): Promise<string> =>
    (await second.run(['sh', '-c', `echo | timeout 1 nc -u -w1 ${service} 8081`])).stdout;
  const answers = (service: string, host: string) =>
    until(
      `${service} answers from ${host}`,
      async () => [await call(service), await ask(service)],
      ([tcp, udp]) => tcp === host && udp === host,
      SETTLED_MS,
    );
  /** What stands while no program of api is there. */
  const SILENT = ['target-not-listening api:8080/tcp', 'target-not-listening api:8081/udp'];
  const problems = async (): Promise<readonly string[]> => {
    return (await agent.status()).problems.map(({ code, subject }) => `${code} ${subject}`);
  };
  const exposure = async (): Promise<readonly string[]> => {
    const { stdout } = await second.run(['weft', 'check', '--json', '--data', agent.dataDir]);
    const { findings } = JSON.parse(stdout) as { findings: { area: string; result: string }[] };
    return findings.flatMap(({ area, result }) => (area === 'exposure' ? [result] : []));
  };
  const explained = async (): Promise<string> => (await control.weft('explain', 'api', 'config:8080')).stdout;

  test('a program that does not listen shuts no door, of its own service or of another', async () => {
    await answers('config', 'first');
    await answers('api', 'third');
    expect(await problems()).toEqual(SILENT);
    expect(await explained()).not.toMatch(/left free/);
  });

  test('one on loopback alone starts and ends beside the agent', async () => {
    const program = await serve(second, '127.0.0.1');
    await until(
      'api answers from here too',
      () => call('api'),
      (host) => host === 'second',
      SETTLED_MS,
    );
    expect(await call('config')).toBe('first');
    await program.kill();
    await answers('api', 'third');
  });

  test('after a program was seen on every address its port is left free, also by the next run, and all are told', async () => {
    await agent.process.stop();
    // It is there first once, and is gone while the agent is away.
    const before = await serve(second, '::');
    await agent.restart();
    await until(
      'it is seen',
      problems,
      (all) => all.length > 0 && !all.some((one) => SILENT.includes(one)),
      SETTLED_MS,
    );
    // It is reached past Weft, which is told until it listens on loopback alone.
    expect((await control.host.run(['nc', '-dw2', second.address, '8080'])).stdout).toBe('second');
    expect((await agent.status()).problems.find(({ code }) => code === 'exposed')).toMatchObject({
      subject: 'api',
      message: expect.stringMatching(
        `^api may be reached past Weft: a program listens on \\[::\\]:8080 and \\[::\\]:8081/udp, where it is expected, so who reaches ${second.address}`,
      ),
    });
    expect(await exposure()).toEqual(['hint']);
    await agent.process.stop();
    await before.kill();
    await agent.restart();
    await until(
      'the places are left free',
      problems,
      (all) => all.includes('port-awaited config:8080/tcp') && all.includes('port-awaited config:8081/udp'),
      SETTLED_MS,
    );
    expect(await call('config')).toBe('');
    await until('explain says so', explained, (text) => /left free/.test(text), SETTLED_MS);
    const again = await serve(second, '::');
    await until(
      'it is told of the program',
      problems,
      (all) => !all.some((one) => one.startsWith('port-awaited')),
      SETTLED_MS,
    );
    await again.kill();
    // By the owner's word its port is held again.
    await agent.process.stop();
    agent = await Agent.start(second, {
      config: 'services: { api: { targets: { 8080: "127.0.0.1:8080", "8081/udp": "127.0.0.1:8081" } } }',
    });
    await answers('config', 'first');
    await answers('api', 'third');
    expect(await problems()).toEqual(SILENT);
    expect(await exposure()).toEqual(['ok']);
  });
});
