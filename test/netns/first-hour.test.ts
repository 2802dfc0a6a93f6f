/** docs/guides/first-hour.md, done as it stands by an ordinary user on four hosts. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { read } from '../docs/sources.ts';
import { anyVip } from '../harness/guide.ts';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';

const missing = await hostsMissing('redis-server', 'redis-cli', 'curl');

/** A file of a host, what a person types there, or what the test does in the place of the world. In the order of the guide. */
type Step =
  | { readonly does: 'write'; readonly host: string; readonly name: string; readonly text: string }
  | {
      readonly does: 'run';
      readonly host: string;
      readonly root: boolean;
      readonly script: string;
      readonly prints: string | undefined;
    }
  | { readonly does: 'world'; readonly words: readonly string[] };

function readSteps(document: string): readonly Step[] {
  const steps: Step[] = [];
  const parts = /^```(\w+)\n(.*?)^```$|^<!-- test: (.*?) -->$/gms;
  for (const [, language, text = '', world] of read(document).matchAll(parts)) {
    if (world !== undefined) {
      steps.push({ does: 'world', words: world.split(' ') });
      continue;
    }
    const last = steps.at(-1);
    if (language === 'text' && last?.does === 'run') {
      steps[steps.length - 1] = { ...last, prints: text };
      continue;
    }
    const [, name, host, root] =
      /^(?:#|\/\/) (?:(\S+) )?on ([\w-]+)(, as root)?$/m.exec(text.split('\n')[0] ?? '') ?? [];
    if (host === undefined) throw new Error(`what is this, and on which host?\n${text}`);
    if (name !== undefined) steps.push({ does: 'write', host, name, text });
    else steps.push({ does: 'run', host, root: root !== undefined, script: text, prints: undefined });
  }
  return steps;
}

/** Several looks by `weft check`, which waits for who does not answer. */
const CHECKED_MS = 3 * SETTLED_MS;

/** Commands that a person types again, and that change nothing. */
const LOOKS = /^(weft (status|check|explain)|redis-cli|curl) /;

/** What is another one at each time. */
const same = (text: string) => anyVip(text).trimEnd();

describe.skipIf(missing !== undefined)(titled('the first hour', missing), () => {
  let lab: NamespaceLab;
  const hosts: Record<string, Host> = {};
  const programs: { readonly host: Host; readonly name: string; readonly process: Process }[] = [];

  beforeAll(async () => {
    lab = await createNamespaceLab();
    for (const name of ['main', 'data-1', 'web-1', 'work-1']) hosts[name] = await lab.host(name);
  });
  afterAll(async () => lab[Symbol.asyncDispose]());

  const hostOf = (name: string): Host => {
    const host = hosts[name];
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  };

  /** Fails where a line does not end as the guide says. `scp FILE HOST:` copies. */
  async function type(host: Host, root: boolean, script: string): Promise<string> {
    const lines = script.split('\n').flatMap((line) => {
      if (line === '' || line.startsWith('#')) return [];
      const [, command = line, code = '0'] = /^(.*\S) +# exit (\d+)$/.exec(line) ?? [];
      return [{ command, code: Number(code) }];
    });
    let said = '';
    for (const { command, code } of lines) {
      const [, file, to] = /^scp (\S+) (\S+):$/.exec(command) ?? [];
      if (file !== undefined && to !== undefined) {
        writeFileSync(join(hostOf(to).dir, file), readFileSync(join(host.dir, file)));
        continue;
      }
      const argv = ['sh', '-c', root ? command : `cd "$HOME" && ${command}`];
      const once = () => (root ? lab.startAsRoot(host, argv) : host.start(argv)).finished(60_000);
      // Programs are found, and hosts heard, in a moment.
      const done = LOOKS.test(command)
        ? await until(command, once, (ended) => ended.code === code, SETTLED_MS)
        : await once();
      expect({ host: host.name, command, ...done }).toMatchObject({ code });
      said += done.stdout;
    }
    return said;
  }

  async function stay(host: Host, script: string): Promise<void> {
    const [, command = ''] = /^(.*\S) +# stays$/m.exec(script) ?? [];
    const process = host.start(['sh', '-c', `cd "$HOME" && exec ${command}`]);
    programs.push({ host, name: command.split(' ')[0] ?? '', process });
    await process.output(/\bready\b|Ready to accept connections/);
  }

  async function happen([what, ...words]: readonly string[]): Promise<void> {
    const [first = '', second = '', third = ''] = words;
    if (what === 'lose') await lab.lose(hostOf(first), { peer: hostOf(second) });
    else if (what === 'heal') await lab.heal(hostOf(first));
    else if (what === 'end' && second === 'on') {
      const program = programs.findLast(({ host, name }) => host.name === third && name === first);
      await program?.process.stop();
    } else throw new Error(`nothing of the world is ${what}`);
  }

  test('is as the guide has it', async () => {
    const steps = readSteps('docs/guides/first-hour.md');
    expect(steps.length).toBeGreaterThan(40);
    for (const step of steps) {
      if (step.does === 'world') await happen(step.words);
      else if (step.does === 'write') writeFileSync(join(hostOf(step.host).dir, step.name), step.text);
      else if (/# stays$/m.test(step.script)) await stay(hostOf(step.host), step.script);
      else {
        const { prints, script } = step;
        const say = () => type(hostOf(step.host), step.root, script);
        if (prints === undefined) await say();
        else {
          const said = async () => same(await say());
          await expect.poll(said, { timeout: CHECKED_MS, interval: 500 }).toBe(same(prints));
        }
      }
    }
  }, 420_000);
});
