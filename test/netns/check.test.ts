/** What the agent of a host tells: weft check on hosts that are right and on such that are not, and its own view. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  checkout,
  createNamespaceLab,
  type Host,
  hostsMissing,
  type NamespaceLab,
  programs,
  titled,
} from '../harness/host.ts';
import { echoes, serveEcho } from '../harness/programs.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing();

const MESH = 'network: prod\nservices: { echo: { kind: private, ports: [7000] } }';
/** Of no host of the lab. */
const NOBODY = '10.213.7.250:7400';

interface Finding {
  readonly area: string;
  readonly subject: string;
  readonly result: string;
  readonly message: string;
  readonly remedy: string;
}

describe.skipIf(missing !== undefined)(titled('what a host tells', missing), () => {
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let web: Host;
  let dataAgent: Agent;
  let webAgent: Agent;

  beforeAll(async () => {
    lab = await createNamespaceLab();
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    [data, web] = [await lab.host('data'), await lab.host('web')];
    await serveEcho(data);
    dataAgent = await Agent.join(control, data, ['echo']);
    webAgent = await Agent.join(control, web);
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
  });
  afterAll(async () => lab[Symbol.asyncDispose]());

  async function check({ host, dataDir }: Agent) {
    const argv = ['weft', 'check', '--data', dataDir];
    const { code, stdout } = await host.run([...argv, '--json'], { timeoutMs: 60_000 });
    const { findings }: { findings: Finding[] } = JSON.parse(stdout);
    const of = (area: string) => findings.filter((finding) => finding.area === area);
    return { code, of, broken: findings.filter(({ result }) => result === 'broken') };
  }

  test('a host that is right', async () => {
    const { code, of, broken } = await check(webAgent);
    expect({ code, broken }).toEqual({ code: 0, broken: [] });
    expect(of('control')).toMatchObject([{ subject: control.listen, result: 'ok' }]);
    expect(of('clock')).toMatchObject([{ result: 'ok' }]);
    expect(of('names')).toMatchObject([
      { subject: 'echo.internal', message: expect.stringMatching(/and so is echo$/) },
    ]);
    expect(of('ports')).toMatchObject([{ result: 'ok' }]);
    expect(of('peer')).toMatchObject([
      { subject: 'data', result: 'ok', message: expect.stringMatching(/ ms to 10\.213\.7\.12:7410; .*UDP passes/) },
    ]);
    expect(of('directory')).toMatchObject([{ result: 'ok' }]);
    expect((await check(dataAgent)).of('target')).toMatchObject([
      { subject: 'echo 7000', result: 'ok', message: 'a program answers at 127.0.0.1:7000' },
    ]);
  });

  test('to another user tells what cannot be looked at, and nothing of that user as of the agent', async () => {
    const script = `mount --bind "$0" /mnt && export PATH="/mnt/${programs}:$PATH" && exec setpriv --reuid=65533 --regid=65533 --clear-groups -- "$@"`;
    const argv = ['weft', 'check', '--json', '--data', webAgent.dataDir];
    const { code, stdout } = await lab.startAsRoot(web, ['sh', '-c', script, checkout, ...argv]).finished(60_000);
    const { findings }: { findings: Finding[] } = JSON.parse(stdout);
    expect(code).toBe(4);
    expect(findings.filter(({ result }) => result !== 'unknown')).toMatchObject([
      { area: 'agent', result: 'broken', message: expect.stringMatching(/ask as the user who runs it$/) },
    ]);
    const messages = findings.map(({ area, message }) => `${area}: ${message}`);
    expect(messages.slice(1)).toEqual([
      expect.stringMatching(/^control: not looked at: /),
      'names: not looked at: the agent answers them, and it cannot be asked',
      'target: not looked at: the agent knows where programs are expected, and it cannot be asked',
      'files: not looked at: the agent tells how many it may have open, and it cannot be asked',
      "directory: not looked into: it is user 65534's; ask as that user, or as root",
    ]);
  });

  test('what the agent knows, to who has no token', async () => {
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
    const weft = ({ host, dataDir }: Agent, ...args: readonly string[]) =>
      host.run(['weft', ...args, '--data', dataDir]);
    const services = await weft(webAgent, 'services');
    expect(services).toMatchObject({ code: 0, stderr: expect.stringMatching(/^as the agent of web knows it: /) });
    expect(services.stdout).toMatch(/^echo +private +127\.\S+ +7000 +1\/1 +- +0@data$/m);
    const flows = await weft(dataAgent, 'flows', '--json', '--to', 'echo', '--limit', '1');
    expect(JSON.parse(flows.stdout)).toMatchObject({ source: 'host:web', service: 'echo', outcome: 'closed' });
    const there = await weft(webAgent, 'explain', 'host:web', 'echo:7000');
    expect(there).toMatchObject({ code: 0, stdout: expect.stringMatching(/echo\/0 on data: reachable from here/) });
    const here = await weft(dataAgent, 'explain', 'host:web', 'echo:7000');
    expect(here).toMatchObject({
      code: 4,
      stdout: expect.stringMatching(/echo\/0 is here, and answers at 127\.0\.0\.1:7000/),
    });
    const call = web.start(['sh', '-c', 'sleep 60 | nc echo 7000']);
    for (const agent of [webAgent, dataAgent]) {
      const open = () => weft(agent, 'flows', '--open', '--json');
      const told = await until('it is open', open, ({ stdout }) => stdout !== '', SETTLED_MS);
      expect(JSON.parse(told.stdout)).toMatchObject({ source: 'host:web', destination_host: 'data', port: 7000 });
    }
    await call.stop();
  });

  test('a resolver that does not ask the agent', async () => {
    const resolver = (address: string) =>
      lab.startAsRoot(web, ['sh', '-c', `printf 'nameserver ${address}\nsearch internal\n' > /etc/resolv.conf`]);
    // Nobody is there, and the kernel says so.
    await resolver('127.0.0.2').finished();
    const { code, of } = await check(webAgent);
    expect({ code, names: of('names') }).toEqual({
      code: 4,
      names: [
        {
          area: 'names',
          subject: 'echo.internal',
          result: 'broken',
          message: expect.stringMatching(
            /^this host's resolver hears nothing of those whom it asks; the agent says 127\./,
          ),
          remedy: expect.stringMatching(/^put nameserver 127\.0\.0\.1 before the others in \/etc\/resolv\.conf/),
        },
      ],
    });
    await resolver('127.0.0.1').finished();
  });

  test('a wrong target', async () => {
    await dataAgent.process.stop();
    const config = 'services: { echo: { targets: { 7000: "127.0.0.1:7099" } } }';
    dataAgent = await Agent.start(data, { config });
    const { code, of } = await check(dataAgent);
    expect({ code, targets: of('target') }).toEqual({
      code: 4,
      targets: [
        {
          area: 'target',
          subject: 'echo 7000',
          result: 'broken',
          message: '127.0.0.1:7099: connection refused',
          remedy: expect.stringContaining('targets: { 7000: '),
        },
      ],
    });
    await dataAgent.process.stop();
    dataAgent = await Agent.start(data, { config: 'services: { echo: {} }' });
    await until('echo answers', () => echoes(web), Boolean, SETTLED_MS);
  });

  test('a peer whose packets are lost', async () => {
    await lab.lose(data, { peer: web });
    const { code, broken } = await check(webAgent);
    expect({ code, broken }).toEqual({
      code: 4,
      broken: [
        {
          area: 'peer',
          subject: 'data',
          result: 'broken',
          message: expect.stringMatching(/, so echo cannot be called there$/),
          remedy: expect.stringMatching(/7410/),
        },
      ],
    });
    await lab.heal(data);
  });

  test('control at one place of two, and at none', async () => {
    await webAgent.process.stop();
    webAgent = await Agent.start(web, { args: ['--control', NOBODY] });
    await until(
      'control is heard',
      () => webAgent.status(),
      ({ stale_since }) => stale_since === null,
      SETTLED_MS,
    );
    const one = await check(webAgent);
    expect({ code: one.code, control: one.of('control') }).toMatchObject({
      code: 0,
      control: [
        { subject: NOBODY, result: 'hint' },
        { subject: control.listen, result: 'ok' },
      ],
    });
    await control.process.stop();
    await until(
      'it is stale',
      () => webAgent.status(),
      ({ stale_since }) => stale_since !== null,
      SETTLED_MS,
    );
    const { code, broken, of } = await check(webAgent);
    expect({ code, broken: broken.map(({ area, subject }) => [area, subject]) }).toEqual({
      code: 4,
      broken: [
        ['agent', ''],
        ['control', NOBODY],
        ['control', control.listen],
      ],
    });
    expect(of('control').at(-1)?.message).toBe('nobody listens there (ECONNREFUSED)');
    await control.restart();
  });

  test('an agent that is off, by what it has kept', async () => {
    await webAgent.process.stop();
    const { code, broken, of } = await check(webAgent);
    expect({ code, broken }).toMatchObject({
      code: 4,
      broken: [{ area: 'agent', remedy: expect.stringMatching(/^start it: weft up; /) }],
    });
    expect(of('control')).toMatchObject([{ subject: control.listen, result: 'ok' }]);
    expect(of('names')).toMatchObject([{ result: 'unknown' }]);
    expect(of('directory')).toMatchObject([{ result: 'ok' }]);
    webAgent = await Agent.start(web, {});
  });

  test('a port that the agent may not listen on', async () => {
    await control.apply(`${MESH.replace(' }', '')}, smtp: { kind: private, ports: [25] } }`, '--wait');
    const { code, of } = await check(webAgent);
    expect({ code, ports: of('ports') }).toMatchObject({
      code: 4,
      ports: [{ message: expect.stringContaining('from 53 on'), remedy: expect.stringContaining('port_start=25;') }],
    });
  });
});
