/** How the programs are begun: with a join token from each place that may hold one, and by a Node that is too old. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { checkout, createLocalLab, type Lab } from '../harness/host.ts';
import { run } from '../harness/process.ts';
import { Control } from '../harness/weft.ts';

describe('a join token', () => {
  const cleanup = new AsyncDisposableStack();
  let lab: Lab;
  let control: Control;
  let hosts = 0;

  beforeAll(async () => {
    lab = cleanup.use(createLocalLab());
    control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard: await freePort() });
    await control.apply('{ network: prod, services: { mailer: { kind: worker } } }');
  });
  afterAll(() => cleanup.disposeAsync());

  /** Each place's text; undefined is a place that is not given. */
  interface Given {
    readonly join?: string;
    readonly file?: string;
    readonly environment?: string;
  }

  /** Starts an agent on a host of its own. */
  async function begin({ join: text, file, environment }: Given) {
    const name = `host-${++hosts}`;
    const host = await lab.host(name);
    const argv = ['weft', 'up', '--data', join(host.dir, 'agent')];
    argv.push('--tunnel', `127.0.0.1:${await freePort()}`, '--dns', `127.0.0.1:${await freePort()}`);
    if (text !== undefined) argv.push('--join', text);
    const path = join(host.dir, 'token');
    if (file !== undefined) {
      writeFileSync(path, file, { mode: 0o600 });
      argv.push('--join-file', path);
    }
    const env = environment === undefined ? {} : { WEFT_JOIN: environment };
    return { name, path, agent: host.start(argv, { env }) };
  }

  async function joins(given: Given): Promise<void> {
    const { agent } = await begin(given);
    await agent.output(/weft ready/);
    await agent.stop();
  }

  const token = () => control.ok('token', 'create', '--network', 'prod');
  const WRONG = 'no-token-at-all';

  test('is taken from --join, from --join-file or from WEFT_JOIN', async () => {
    await joins({ join: await token() });
    // As `weft token create > token` leaves it, with the end of the line.
    await joins({ file: `${await token()}\n` });
    await joins({ environment: await token() });
  });

  test('is taken from --join before --join-file, and from that before WEFT_JOIN; the others are not read', async () => {
    await joins({ join: await token(), file: WRONG, environment: WRONG });
    await joins({ file: await token(), environment: WRONG });
  });

  test('that is wrong is wrong usage: no other place is tried, and the error names the place and not the text', async () => {
    const good = await token();
    const wrong = async (given: Given): Promise<{ path: string; stderr: string }> => {
      const { agent, path } = await begin(given);
      const { code, stderr } = await agent.finished();
      expect(code).toBe(2);
      expect(stderr).not.toContain(WRONG);
      expect(stderr).not.toContain(good);
      return { path, stderr };
    };
    expect((await wrong({ join: WRONG, file: good, environment: good })).stderr).toContain('--join: not a join token');
    const { path, stderr } = await wrong({ file: WRONG, environment: good });
    expect(stderr).toContain(`${path}: not a join token`);
    expect((await wrong({ environment: WRONG })).stderr).toContain('WEFT_JOIN: not a join token');
    // It was never used.
    await joins({ environment: good });
  });
});

test.each([
  ['weft', 'packages/agent/bin/weft.js'],
  ['weft-control', 'packages/control/bin/weft-control.js'],
])('%s says which Node it needs when an older one runs it', async (name, path) => {
  const bin = JSON.stringify(pathToFileURL(join(checkout, path)).href);
  for (const version of ['20.20.2', '22.20.0', '23.11.1', '24.8.0']) {
    const script = `Object.defineProperty(process.versions, 'node', { value: '${version}' }); await import(${bin});`;
    const answer = await run([process.execPath, '--input-type=module', '-e', script]);
    expect(answer).toMatchObject({ code: 1, stdout: '' });
    expect(answer.stderr).toMatch(
      new RegExp(
        `^${name}: needs Node 22\\.21 or newer of its line, or 24\\.9 or newer; this is ${version}; run it with .*\n$`,
      ),
    );
  }
});
