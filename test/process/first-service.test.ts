/** A fresh control shows the commands that bring up the first service. Here they are pasted into a shell, as they are shown. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalLab, createNamespaceLab, type Host, hostsMissing, type Lab, titled } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Control } from '../harness/weft.ts';

// The commands use the ports and folders that anybody's would: a host of their own keeps them off this machine's. Without
// one an ordinary user's are as good; root's folders are left alone.
const noHosts = await hostsMissing();
const missing = process.getuid?.() === 0 ? noHosts : undefined;

/** What the page's code would do: sign in with the token, then ask. */
const ASK_START = `
  const [port, token] = process.argv.slice(1);
  const base = 'http://127.0.0.1:' + port;
  const headers = { 'content-type': 'application/json', 'x-weft-dashboard': '1' };
  const signedIn = await fetch(base + '/api/session', { method: 'POST', headers, body: JSON.stringify({ token }) });
  const cookie = signedIn.headers.get('set-cookie').split(';')[0];
  console.log(await (await fetch(base + '/api/start', { headers: { cookie } })).text());
`;

interface Shown {
  readonly name: string;
  readonly commands: readonly { readonly title: string; readonly command: string }[];
}

interface Listed {
  readonly vip: string;
  readonly instances: readonly { readonly healthy: boolean }[];
}

describe.skipIf(missing !== undefined)(titled('the first service', missing), () => {
  let lab: Lab;
  let host: Host;
  let control: Control;

  beforeAll(async () => {
    lab = noHosts === undefined ? await createNamespaceLab() : createLocalLab();
    host = await lab.host('main');
    control = await Control.start(host);
  });

  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const node = (script: string, ...args: readonly string[]): Promise<string> =>
    host.check(['node', '--input-type=module', '-e', script, '--', ...args]);

  /** As the page shows them now. */
  const shown = async (): Promise<readonly Shown[]> => {
    const token = (await host.check(['cat', join(control.dataDir, 'read.token')])).trim();
    return (JSON.parse(await node(ASK_START, '7480', token)) as { readonly networks: readonly Shown[] }).networks;
  };

  test('is up when the commands were pasted as the page shows them after each step, and is called by its VIP', async () => {
    const pasted = join(host.dir, 'pasted');
    await host.check(['mkfifo', pasted]);
    // One shell, as a person has it. Nothing of the checkout is on PATH: the commands find weft themselves.
    const paste = `cd "$HOME" && exec env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh < ${pasted}`;
    const shell = host.start(['sh', '-c', paste]);
    const keyboard = createWriteStream(pasted);

    const [fresh, ...others] = await shown();
    expect([fresh?.commands.length, others.length]).toEqual([3, 0]);
    keyboard.write(`${fresh?.commands[0]?.command}\n`);
    const declared = await until(
      'the network is declared',
      shown,
      ([network]) => network?.commands.length === 2,
      SETTLED_MS,
    );
    expect(declared).toEqual([{ ...fresh, commands: [expect.anything(), fresh?.commands[2]] }]);
    keyboard.write(`${declared[0]?.commands[0]?.command}\n`);
    await until(
      'the token is made',
      () => host.check(['sh', '-c', 'cat "$HOME/hello.token" 2>/dev/null || true']),
      (token) => token.endsWith('\n'),
      SETTLED_MS,
    );
    expect((await host.check(['sh', '-c', 'ls -l "$HOME/hello.token"'])).slice(0, 10)).toBe('-rw-------');
    const last = await shown();
    expect(last).toEqual(declared);
    keyboard.write(`${last[0]?.commands[1]?.command}\n`);
    // A join and an agent's start, as the commands do them.
    await shell.output(/weft ready/, 40_000);
    keyboard.end();

    const hello = await until(
      'a healthy instance of hello',
      async () => (JSON.parse(await control.ok('services', '--json')) as { services: Listed[] }).services[0],
      (service) => service?.instances[0]?.healthy === true,
      SETTLED_MS,
    );
    expect(await node(`console.log(await (await fetch('http://${hello?.vip}:8765')).text())`)).toBe('hello\n\n');
    expect(await shown()).toEqual([]);
  });
});
