/** `ports: auto`: what programs in sandboxes open is published while they listen, and nothing else of their hosts is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('perl', 'unshare', 'nc', 'dig');

const MESH = (rules = '') => `
network: prod
services:
  many: { kind: private, ports: [4000, auto] }
  web:  { kind: private, ports: [3000] }
  dev:  { kind: private, ports: auto }
${rules}
`;

/**
 * Opens and closes ports as it is told at 4000, such as `open tcp 5001`, and says at each its name, the port and who calls; a stream of 5005
 * stays open.
 */
const OPENER = `
import select, socket, sys
name, held, calls = sys.argv[1], {}, {}
def listen(kind, port, at='0.0.0.0'):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((at, port))
    if kind == 'tcp': s.listen()
    held[s] = (kind, port)
listen('tcp', 4000)
print('ready', flush=True)
while True:
    for s in select.select([*held, *calls], [], [])[0]:
        if s in calls:
            said = s.recv(4096)
            if not said: calls.pop(s); s.close(); continue
            if calls[s] != 4000: continue
            what, kind, ports, *at = said.decode().split()
            first, _, last = ports.partition('-')
            for port in range(int(first), int(last or first) + 1):
                if what == 'open': listen(kind, port, *at)
                for each in [each for each, place in held.items() if what == 'close' and place == (kind, port)]:
                    held.pop(each); each.close()
            s.sendall(b'done\\n'); calls.pop(s); s.close()
        elif held[s][0] == 'udp':
            said, caller = s.recvfrom(4096)
            s.sendto(f'{name} {held[s][1]} {caller[0]}\\n'.encode(), caller)
        else:
            call, caller = s.accept()
            if held[s][1] != 4000: call.sendall(f'{name} {held[s][1]} {caller[0]}\\n'.encode())
            if held[s][1] in (4000, 5005): calls[call] = held[s][1]
            else: call.close()
`;

/** At a port that another host has published. */
const SECRET = `
import socket
server = socket.create_server(('127.0.0.1', 5001))
print('ready', flush=True)
while True: server.accept()[0].sendall(b'secret')
`;

describe.skipIf(missing !== undefined)(titled('ports that programs in sandboxes open', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let front: Host;
  let agent: Agent;
  let beside: Agent;

  const opener = (service: string, name: string): string[] => [
    ...['weft', 'run', '--service', service, '--data', agent.dataDir],
    ...['--', '/usr/bin/python3', '-c', OPENER, name],
  ];
  const tell = async (order: string, service = 'many'): Promise<void> => {
    const heard = await until(
      `${service} takes ${order}`,
      async () => (await data.run(['sh', '-c', `echo ${order} | timeout 5 nc -w3 ${service} 4000`])).stdout,
      (answer) => answer !== '',
      SETTLED_MS,
    );
    expect(heard).toBe('done\n');
  };
  const call = async (port: number, name = 'many'): Promise<string> =>
    (await data.run(['timeout', '10', 'nc', '-dw5', name, String(port)])).stdout;
  const ask = async (port: number): Promise<string> =>
    (await data.run(['sh', '-c', `echo hi | timeout 5 nc -u -w1 many ${port}`])).stdout;
  const answers = (what: () => Promise<string>, pattern: RegExp) =>
    until(`answers ${pattern}`, what, (heard) => pattern.test(heard), SETTLED_MS);

  interface Listed {
    readonly service: { readonly name: string; readonly ports: readonly string[] };
    readonly instances: readonly { readonly host: string; readonly opened: readonly string[] }[];
  }
  const opened = async (host = 'front'): Promise<readonly string[] | undefined> => {
    const { services } = JSON.parse(await control.ok('services', '--json')) as { services: readonly Listed[] };
    const many = services.find(({ service }) => service.name === 'many');
    expect(many?.service.ports).toEqual(['4000', 'auto']);
    return many?.instances.find((each) => each.host === host)?.opened;
  };
  const lists = (...ports: readonly string[]) =>
    until(
      `control lists ${ports.join()}`,
      () => opened(),
      (now) => now?.join() === ports.join(),
      SETTLED_MS,
    );

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH());
    [data, front] = [await lab.host('data'), await lab.host('front')];
    const token = await control.token('--host', 'front', '--services', 'many,web,dev');
    [agent, beside] = await Promise.all([
      Agent.start(front, { token, config: 'services: {}' }),
      Agent.join(control, data, ['many']),
    ]);
    await front.start(opener('many', 'front')).output(/ready/);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('are called as they open, TCP and UDP, from each caller’s own address, and by name and service record', async () => {
    expect(await call(5001)).toBe('');
    await tell('open tcp 5001');
    await answers(() => call(5001), /^front 5001 127\.8\d\.\d+\.\d+\n$/);
    await tell('open udp 5002');
    await answers(() => ask(5002), /^front 5002 127\.8\d\.\d+\.\d+\n$/);
    await lists('5001', '5002/udp');
    expect(await control.ok('services')).toMatch(/many .*4000,auto.* \d@front \(opened: 5001,5002\/udp\)/);
    // By one in another sandbox, and by a command that asks the agent.
    const web = ['weft', 'run', '--service', 'web', '--data', agent.dataDir, '--', 'nc', '-dw5', 'many', '5001'];
    expect((await front.run(web)).stdout).toMatch(/^front 5001 127\.8\d\.\d+\.\d+\n$/);
    expect((await data.run(['weft', 'connect', 'many:5001', '--data', beside.dataDir])).stdout).toMatch(/^front 5001 /);
    const records = async (name: string) => (await data.check(['dig', '+short', 'SRV', name])).trim();
    expect(await records('_5001._tcp.many.internal')).toMatch(/^0 0 5001 \d+\.many\.internal\.$/);
    expect(await records('_5002._udp.many.internal')).toMatch(/^0 0 5002 \d+\.many\.internal\.$/);
    expect(await records('_5003._tcp.many.internal')).toBe('');
    expect(await control.ok('explain', 'host:data', 'many:5001')).toMatch(/reachable/);
  });

  test('are told with their sandbox to who asks control for its hosts', async () => {
    const { agents } = JSON.parse(await control.ok('agents', '--json')) as {
      agents: readonly { host: string; report: { sandboxes: readonly Record<string, unknown>[] } }[];
    };
    const [sandbox] = (await agent.status<{ sandboxes: readonly { pid: number; since: string }[] }>()).sandboxes;
    expect(agents.find(({ host }) => host === 'front')?.report.sandboxes).toEqual([
      {
        ...{ service: 'many', user: 'nobody', pid: sandbox?.pid, unit: expect.any(String), egress: false },
        ...{ since_ms: Date.parse(sandbox?.since ?? ''), ports: ['4000', '5001', '5002/udp'] },
      },
    ]);
    expect(agents.find(({ host }) => host === 'data')?.report.sandboxes).toEqual([]);
    expect(await control.ok('agents', '--wide')).toMatch(/front .* many /);
  });

  test('go by the rules that name them', async () => {
    await control.apply(
      MESH("policies: [{ name: shut, action: deny, from: ['host:data', many], to: ['many:5001'] }]"),
      '--wait',
    );
    expect(await call(5001)).toBe('');
    await answers(() => ask(5002), /^front 5002/);
    const { code, stdout } = await control.weft('explain', 'many', 'many:5001');
    expect({ code, stdout }).toMatchObject({ code: 3, stdout: expect.stringContaining('policy shut denies') });
    await control.apply(MESH(), '--wait');
    await answers(() => call(5001), /^front 5001/);
  });

  test('are withdrawn as they close, and what is open there goes on', async () => {
    await tell('open tcp 5005');
    await answers(() => call(5005), /^front 5005/);
    const held = data.start(['nc', '-d', 'many', '5005']);
    await held.output(/^front 5005/);
    await tell('close tcp 5005');
    await lists('5001', '5002/udp');
    expect(await call(5005)).toBe('');
    const open = await control.ok('flows', '--open', '--json');
    expect(open).toMatch(/"service":"many".*"port":5005\b/);
    await held.kill();
  });

  test('are none of those that a program takes to call others', async () => {
    await tell('open udp 40000');
    await tell('open tcp 40001');
    await lists('5001', '40001', '5002/udp');
    await tell('close udp 40000');
    await tell('close tcp 40001');
    await lists('5001', '5002/udp');
  });

  test('are none that were not meant for others, and of very many as many as are published', async () => {
    await tell('open tcp 22');
    await tell('open tcp 8999 127.0.0.1');
    await tell('open tcp 9000-9300 192.0.0.2');
    await lists('5001', '9000-9254/tcp');
    const { problems } = await agent.status();
    expect(problems.find(({ code }) => code === 'too-many-ports')).toMatchObject({
      ...{ subject: 'many', message: expect.stringContaining('listen on 303 ports') },
    });
    for (const place of ['9000-9300', '8999', '22']) await tell(`close tcp ${place}`);
    await lists('5001', '5002/udp');
    expect((await agent.status()).problems.filter(({ code }) => code === 'too-many-ports')).toEqual([]);
  });

  test('need no declared one beside them', async () => {
    const program = front.start(opener('dev', 'dev'));
    await program.output(/ready/);
    await tell('open tcp 5001', 'dev');
    await answers(() => call(5001, 'dev'), /^dev 5001 127\.8\d/);
    expect(await control.ok('explain', 'host:data', 'dev:5001')).toMatch(/reachable/);
    const refused = await data.run(['weft', 'connect', 'dev:5003', '--data', beside.dataDir]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no program of dev listens at port 5003\/tcp now/),
    });
    await program.kill();
  });

  test('of a host where the service runs outside of a sandbox are never published, nor reached', async () => {
    const own = data.start(['/usr/bin/python3', '-c', SECRET]);
    await own.output(/ready/);
    const { problems } = await until(
      'it is told',
      () => beside.status(),
      ({ problems: now }) => now.some(({ code, subject }) => code === 'ports-not-published' && subject === 'many'),
      SETTLED_MS,
    );
    expect(problems.find(({ code }) => code === 'ports-not-published')?.message).toMatch(/weft run --service many/);
    for (let turn = 0; turn < 4; turn++) expect(await call(5001)).toMatch(/^front 5001/);
    // Its own instance, by its own address, from both hosts.
    for (const name of ['0.many', '1.many'])
      for (const host of [data, front])
        expect((await host.run(['timeout', '10', 'nc', '-dw5', name, '5001'])).stdout).not.toMatch(/secret/);
    expect(await opened('data')).toEqual([]);
    await own.kill();
  });

  test('are gone with the program, and with the word in the mesh', async () => {
    expect(await control.ok('get')).toMatch(/many: \{ kind: private, ports: \[4000, auto\] \}/);
    expect((await control.weft('diff', '-f', control.meshFile(MESH()))).code).toBe(0);
    await control.apply(MESH().replace(', auto', ''), '--wait');
    await answers(() => call(5001), /^$/);
    await control.apply(MESH(), '--wait');
    await answers(() => call(5001), /^front 5001/);
    const [sandbox] = (await agent.status<{ sandboxes: readonly { pid: number }[] }>()).sandboxes;
    process.kill(sandbox?.pid ?? 0, 'SIGTERM');
    await answers(() => call(5001), /^$/);
    await until(
      'nothing is listed',
      () => opened(),
      (now) => now === undefined || now.length === 0,
      SETTLED_MS,
    );
  });
});
