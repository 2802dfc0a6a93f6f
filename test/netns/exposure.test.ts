/** What others reach of a host past Weft, by its own word and by other hosts' tries: with no firewall, with one that drops, and with the guard. */
import { writeFileSync } from 'node:fs';
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
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nft', '/usr/bin/python3');

const MESH = `
network: prod
services:
  redis:  { kind: private, ports: [6379] }
  web:    { kind: web, ports: [3000] }
  mailer: { kind: worker }
`;

/** Listens at each PORT or PORT/udp of its arguments, on every address or on loopback. */
const LISTEN = `
import signal, socket, sys
held = []
for word in sys.argv[1:]:
    address, _, place = word.rpartition(':')
    port, _, protocol = place.partition('/')
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if protocol == 'udp' else socket.SOCK_STREAM)
    s.bind((address, int(port)))
    if protocol != 'udp': s.listen()
    held.append(s)
print('ready', flush=True)
signal.pause()
`;

interface Exposed {
  readonly service: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly program: string;
  readonly closed: boolean;
  readonly tries: readonly { readonly host: string; readonly address: string; readonly outcome: string }[];
}

describe.skipIf(missing !== undefined)(titled('what is exposed', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let agent: Agent;
  let python = '';

  const listen = async (...places: readonly string[]): Promise<void> => {
    await data.start(['/usr/bin/python3', '-c', LISTEN, ...places]).output(/^ready$/m);
  };
  const asRoot = async (...argv: readonly string[]): Promise<void> => {
    const { code, stdout, stderr } = await lab.startAsRoot(data, argv).finished(20_000);
    expect({ argv, code, stdout, stderr }).toMatchObject({ code: 0 });
  };
  const message = async (service: string): Promise<string> =>
    (await agent.status()).problems.find(({ code, subject }) => code === 'exposed' && subject === service)?.message ??
    '';
  const told = async () => {
    const { agents } = JSON.parse(await control.ok('agents', '--network', 'prod', '--json'));
    const found = agents.find(({ host }: { host: string }) => host === 'data');
    return {
      exposed: (found.report.exposed ?? []) as readonly Exposed[],
      problems: found.report.problems as readonly { code: string; subject: string; message: string }[],
    };
  };
  /** What the others found of a port, in the order of their names; empty until they did. */
  const outcomes = async (port: number): Promise<readonly string[]> => {
    const { exposed } = await told();
    const place = exposed.find((one) => one.port === port);
    return (place?.tries ?? []).map(({ host, outcome }) => `${host} ${outcome}`).sort();
  };
  const reached = async () => (await told()).problems.filter(({ code }) => code === 'exposed-reached');
  const config = async (exposure: string): Promise<void> => {
    writeFileSync(
      `${data.dir}/weft.yaml`,
      `services: { redis: {}, mailer: { match: { command: ${python} } } }\nexposure: { ${exposure} }\n`,
    );
    await data.check(['weft', 'reload', '--data', agent.dataDir]);
  };

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    data = await lab.host('data');
    python = (await data.check(['readlink', '-f', '/usr/bin/python3'])).trim();
    agent = await Agent.start(data, {
      token: await control.token('--host', 'data', '--services', 'redis,mailer'),
      config: `services: { redis: {}, mailer: { match: { command: ${python} } } }`,
    });
    for (const name of ['web', 'cache']) {
      const token = await control.token('--host', name, '--services', 'web');
      await Agent.start(await lab.host(name), { token, config: 'services: { web: {} }' });
    }
  });
  afterAll(async () => cleanup.disposeAsync());

  test("a worker's ports are told with their program, and what only listens within is not", async () => {
    await listen('0.0.0.0:8080', '127.0.0.1:8081', '0.0.0.0:8125/udp');
    const text = await until('it is told', () => message('mailer'), Boolean, SETTLED_MS);
    expect(text).toMatch(
      new RegExp(
        `^mailer may be reached past Weft: its program ${python} listens on 0.0.0.0:8080 and 0.0.0.0:8125/udp,`,
      ),
    );
    const places = await until(
      'control has it',
      async () => (await told()).exposed,
      (all) => all.length === 2,
      SETTLED_MS,
    );
    expect(places).toMatchObject([
      { service: 'mailer', protocol: 'tcp', address: '0.0.0.0', port: 8080, program: python, closed: false, tries: [] },
      { service: 'mailer', protocol: 'udp', address: '0.0.0.0', port: 8125, program: python, closed: false, tries: [] },
    ]);
    const { stdout } = await data.run(['weft', 'check', '--data', agent.dataDir]);
    expect(stdout).toMatch(/^hint +exposure +mailer may be reached past Weft/m);
  });

  test("nobody tries it but at its owner's wish; then others tell what answers, and of datagrams that nobody can tell", async () => {
    expect(await outcomes(8080)).toEqual([]);
    await config('tried-by-peers: true');
    expect(
      await until(
        'it was tried',
        () => outcomes(8080),
        (all) => all.length === 2,
        SETTLED_MS,
      ),
    ).toEqual(['cache answers', 'web answers']);
    expect(await outcomes(8125)).toEqual(['cache untold', 'web untold']);
    expect(await reached()).toMatchObject([
      { subject: 'mailer', message: expect.stringContaining(`${data.address}:8080 answers`) },
    ]);
  });

  test('with a firewall that drops it listens, and is not reached', async () => {
    await asRoot(
      'nft',
      'add table inet own; add chain inet own c { type filter hook input priority 0; }; add rule inet own c iif eth0 tcp dport 8080 drop',
    );
    // What changes is tried anew.
    await listen('0.0.0.0:8082');
    await until(
      'it was tried again',
      () => outcomes(8082),
      (all) => all.length === 2,
      SETTLED_MS,
    );
    expect(await outcomes(8080)).toEqual(['cache silent', 'web silent']);
    expect(await reached()).toMatchObject([{ message: expect.stringMatching(/:8082 answers/) }]);
    expect((await reached())[0]?.message).not.toContain(':8080');
    await asRoot('nft', 'delete table inet own');
  });

  test('what the guard closes is closed by its own word and by that of others', async () => {
    lab.startAsRoot(data, [`${checkout}/${programs}/weft`, 'guard', 'keep', '--data', agent.dataDir]);
    await asRoot(`${checkout}/${programs}/weft`, 'guard', 'on', '--data', agent.dataDir);
    expect(
      await until(
        'others find it closed',
        () => outcomes(8080),
        (all) => all[0] === 'cache silent',
        SETTLED_MS,
      ),
    ).toEqual(['cache silent', 'web silent']);
    await until('nothing is reached', reached, (all) => all.length === 0, SETTLED_MS);
    expect((await told()).exposed.map(({ closed }) => closed)).toEqual([true, true, true]);
    expect(await agent.problems()).not.toContain('exposed');
    await asRoot(`${checkout}/${programs}/weft`, 'guard', 'off', '--data', agent.dataDir);
  });

  test('without the wish nothing of it is told any more', async () => {
    await config('tried-by-peers: false');
    await until(
      'no tries are told',
      () => outcomes(8080),
      (all) => all.length === 0,
      SETTLED_MS,
    );
    expect(await reached()).toEqual([]);
  });
});
