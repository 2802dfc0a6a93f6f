import { describe, expect, test } from 'vitest';
import { commandLine } from './command-line.fixture.ts';

const { weft, file } = commandLine();

const MESH = 'network: prod\nservices:\n  web: { kind: web, ports: [80] }\n  mailer: { kind: worker }\n';

describe('lint', () => {
  test('takes good files of both sorts', async () => {
    const mesh = await file('mesh.yaml', MESH);
    expect(await weft('lint', mesh)).toEqual({ code: 0, out: `${mesh}: a good mesh file\n`, err: '' });
    const agent = await file('weft.yaml', 'services: { mailer: {} }\n');
    expect(await weft('lint', agent)).toEqual({ code: 0, out: `${agent}: a good agent file\n`, err: '' });
    expect(JSON.parse((await weft('lint', agent, '--json')).out)).toEqual({
      version: 1,
      file: agent,
      sort: 'agent',
      problems: [],
      warnings: [],
    });
  });

  test('takes an empty file as an agent does, and says what it is', async () => {
    const path = await file('empty.yaml', '# nothing\n');
    const { code, out, err } = await weft('lint', path);
    expect({ code, out }).toEqual({ code: 0, out: `${path}: a good agent file\n` });
    expect(err).toContain('holds nothing: a host with it runs no service and only calls');
  });

  test('warns of what is likely a mistake', async () => {
    const path = await file('warned.yaml', `${MESH}policies: [{ name: a, action: deny, from: [web], to: [mailer] }]\n`);
    const { code, err } = await weft('lint', path);
    expect({ code, err }).toEqual({
      code: 0,
      err: `warning: ${path}:5:55: policies[0].to[0]: a worker receives nothing, so this closes nothing more\n`,
    });
  });

  test.each([
    [
      '{ command: mailer }',
      /^warning: .*:1:\d+: services.mailer.match.command: any user can run a file called mailer, /,
    ],
    ['{ command: /usr/bin/mailer }', /^$/],
    ['{ command: mailer, user: mail }', /^$/],
  ])('warns of a command by its name alone, which is weak: %s', async (match, expected) => {
    const { code, err } = await weft('lint', await file('weak.yaml', `services: { mailer: { match: ${match} } }\n`));
    expect(code).toBe(0);
    expect(err).toMatch(expected);
  });

  test('says of a test for a user what a test can be of', async () => {
    const { code, err } = await weft(
      'lint',
      await file('user.yaml', `${MESH}tests: [{ from: "user:bob", to: "web:80", expect: deny }]\n`),
    );
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringContaining('host:NAME or internet, which is then run by a user that no rule names'),
    });
  });

  test.each([
    [
      'a test that fails',
      `${MESH}tests: [{ from: mailer, to: "web:80", expect: deny }]\n`,
      ':5:9: tests[0]: expected deny, got allow',
    ],
    [
      'a name that is none',
      `${MESH}default: deny\npolicies: [{ name: a, action: deny, from: [wep], to: [web] }]`,
      'there is no service "wep"',
    ],
    ['a mesh without its network', 'services: { web: { kind: web, ports: [80] } }', 'network: missing'],
    ['an agent file', 'services: { web: { target: {} } }', 'unknown key "target"; did you mean "targets"?'],
    ['no map', 'web', 'expected a map'],
  ])('refuses %s, by exit code 2', async (_, text, words) => {
    const path = await file('wrong.yaml', text);
    const { code, out, err } = await weft('lint', path);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(words);
    // It only reads.
    expect(err).not.toContain('nothing was changed');
    const json = await weft('lint', path, '--json');
    expect(json).toMatchObject({ code: 2, err: '' });
    const { problems, ...rest } = JSON.parse(json.out);
    expect(rest).toEqual({ version: 1, file: path, sort: null, warnings: [] });
    expect(problems[0]).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
  });
});

test('schema prints the schema of either file', async () => {
  for (const sort of ['mesh', 'agent']) {
    const { code, out } = await weft('schema', sort);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ additionalProperties: false, properties: { services: {} } });
  }
  expect(await weft('schema', 'meshes')).toMatchObject({
    code: 2,
    err: expect.stringContaining('WHAT takes one of: mesh, agent, '),
  });
});
