/** Real servers, unchanged, each in a sandbox of its own and called by their own clients: from another host, and from a sandbox there. */
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { read } from '../docs/sources.ts';
import { readGuide } from '../harness/guide.ts';
import { checkout, createNamespaceLab, type Host, hostsMissing, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';
import { POSTGRES, rabbitEnvironment } from './world.ts';

const missing = await hostsMissing(
  ...['perl', 'redis-server', 'redis-cli', 'memcached', 'memcstat', 'amqp-publish', 'curl', 'python3', 'psql'],
  ...['/usr/sbin/nginx', 'busybox', '/usr/lib/rabbitmq/bin/rabbitmq-server', `${POSTGRES}/initdb`],
);

/** Its hosts are those of this network. */
const GUIDE = readGuide('docs/guides/run-shut-in.md');

const MESH = `
network: prod
services:
  redis:  { kind: private, ports: [6379] }
  cache:  { kind: private, ports: [11211] }
  rabbit: { kind: private, ports: [5672] }
  db:     { kind: private, ports: [5432] }
  page:   { kind: web, ports: [80], public: { port: 80, hosts: [shop.example.com] } }
  files:  { kind: private, ports: [8000] }
  api:    { kind: private, ports: [3000] }
  tiny:   { kind: private, ports: [8081] }
  caller: { kind: worker }
`;

/** Of each service: what runs it, in its folder, as its package has it. */
const SERVERS: Record<string, string> = {
  redis: 'exec redis-server --save "" --protected-mode no',
  cache: 'exec memcached',
  rabbit: 'exec /usr/lib/rabbitmq/bin/rabbitmq-server',
  db: `${POSTGRES}/initdb --username=postgres --auth=trust --locale=C --no-sync --pgdata=data > /dev/null
echo 'host all all 127.80.0.0/12 trust' >> data/pg_hba.conf
exec ${POSTGRES}/postgres -D data -k "$PWD" -c fsync=off`,
  page: 'exec /usr/sbin/nginx -e stderr -p "$PWD" -c nginx.conf',
  files: 'exec python3 -m http.server 8000',
  api: 'exec node api.mjs',
  tiny: 'exec busybox httpd -f -vv -p 8081 -h "$PWD"',
};

/** Which its neighbour of the same network stands behind, by name. */
const NGINX = `
daemon off;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server { listen 80; location / { proxy_pass http://api:3000; } }
}
`;
const API = `
import http from 'node:http';
http.createServer((request, response) => response.end('api for ' + request.socket.remoteAddress + '\\n')).listen(process.env.PORT);
`;

/** Of each server: its own client, and what that says last. */
const CLIENTS: readonly (readonly [name: string, command: string, says: RegExp])[] = [
  ['redis', 'redis-cli -h redis incr calls', /^\d+$/],
  ['memcached', 'memcstat --servers=cache | grep -c pid', /^1$/],
  [
    'RabbitMQ',
    `q=queue-$$; amqp-declare-queue --url amqp://guest:guest@rabbit -q $q > /dev/null; amqp-publish --url amqp://guest:guest@rabbit -r $q -b letter; amqp-get --url amqp://guest:guest@rabbit -q $q`,
    /^letter$/,
  ],
  ['Postgres', `psql -h db -U postgres -Atc 'select inet_client_addr()'`, /^127\.8\d\.\d+\.\d+$/],
  ['nginx', 'curl -sS http://page/', /^api for ::ffff:127\.8\d\.\d+\.\d+$/],
  ['Python', 'curl -sS http://files:8000/hello', /^hello from files$/],
  ['Node', 'curl -sS http://api:3000/', /^api for ::ffff:127\.8\d\.\d+\.\d+$/],
  ['a static program', 'busybox wget -q -O - http://tiny:8081/hello', /^hello from tiny$/],
  // Without a libc's resolver: it reads resolv.conf by itself, as all of Go do.
  [
    'a static client of Go',
    'buf build http://files:8000/released.binpb -o - | tail -c +1000 | head -c 5 | wc -c',
    /^5$/,
  ],
];

describe.skipIf(missing !== undefined)(titled('real programs in sandboxes', missing), () => {
  const cleanup = new AsyncDisposableStack();
  const servers = new Map<string, Process>();
  let control: Control;
  let box: Host;
  let far: Host;

  const ended = () =>
    [...servers.values()].filter(({ running }) => !running).map(({ name, stderr }) => ({ name, stderr }));

  beforeAll(async () => {
    const lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    const mesh = parse(MESH);
    for (const { name, text } of GUIDE.files)
      if (name === 'mesh.yaml') Object.assign(mesh.services, parse(text).services);
    await control.apply(stringify(mesh));
    [box, far] = [await lab.host('web-1'), await lab.host('data-1')];
    const services = Object.keys(SERVERS);
    const token = await control.token('--host', 'web-1', '--services', services.join(','));
    await Promise.all([Agent.start(box, { token, config: 'services: {}' }), Agent.join(control, far, ['caller'])]);
    for (const service of services) {
      const folder = join(box.dir, service);
      await box.check(['mkdir', folder]);
      writeFileSync(join(folder, 'hello'), `hello from ${service}\n`);
      writeFileSync(join(folder, 'nginx.conf'), NGINX);
      writeFileSync(join(folder, 'api.mjs'), API);
      copyFileSync(join(checkout, 'packages/proto/released.binpb'), join(folder, 'released.binpb'));
    }
    for (const [service, script] of Object.entries(SERVERS)) {
      const run = `cd "$HOME/${service}" && exec weft run --service ${service} --data "$HOME/agent" -- sh -ec "$0"`;
      const env =
        service === 'rabbit'
          ? { ...rabbitEnvironment(box, []), RABBITMQ_CONFIG_FILE: '', RABBITMQ_CONF_ENV_FILE: '' }
          : {};
      servers.set(service, box.start(['sh', '-c', run, script], { env }));
    }
    await until(
      'every service has a healthy instance',
      async () => JSON.parse(await control.ok('services', '--json')),
      ({ services: told }: { services: { service: { name: string }; instances: { healthy: boolean }[] }[] }) =>
        ended().length > 0 ||
        told.every(
          ({ service: { name }, instances }) => !servers.has(name) || instances.some(({ healthy }) => healthy),
        ),
      120_000,
    );
    expect(ended()).toEqual([]);
  }, 180_000);
  afterAll(async () => cleanup.disposeAsync());

  test.each(CLIENTS)('%s, from another host', async (_, command, says) => {
    expect(await said(['sh', '-c', `cd "$HOME"; ${command}`])).toMatch(says);
  });

  test('all of them from a sandbox there, each by the address of its service', async () => {
    const script = `cd "$HOME"; for command; do echo "$(sh -c "$command" 2>&1)"; done`;
    const commands = CLIENTS.map(([, command]) => command);
    const shut = ['weft', 'run', '--service', 'caller', '--data', join(far.dir, 'agent'), '--'];
    const inside = ['sh', '-c', 'cd "$HOME" && exec "$@"', 'sh', ...shut, 'sh', '-c', script, 'sh', ...commands];
    const heard = (await said(inside)).split('\n');
    for (const [at, [name, , says]] of CLIENTS.entries())
      expect({ name, said: heard[at] }).toEqual({ name, said: expect.stringMatching(says) });
    const { flows } = JSON.parse(
      `{"flows":[${(await control.ok('flows', '--json', '--limit', '1000')).split('\n').join(',')}]}`,
    ) as {
      flows: { source: string; service: string; verdict: string }[];
    };
    expect(flows.filter(({ source }) => source !== 'caller' && source !== 'page')).toEqual([]);
  });

  test('the guide, as it stands, and the same by the unit and by the example of a container', async () => {
    const hosts: Record<string, Host> = { main: control.host, 'web-1': box, 'data-1': far };
    for (const { name, hosts: on, text } of GUIDE.files)
      for (const each of on) writeFileSync(join(hosts[each]?.dir ?? '', name), text);
    // Where an agent keeps its state that is not told.
    await box.check(['sh', '-c', 'mkdir -p "$HOME/.local/state" && ln -s "$HOME/agent" "$HOME/.local/state/weft"']);
    const running: Process[] = [];
    for (const { hosts: [host = ''] = [], script, stays, prints } of GUIDE.commands) {
      const on = hosts[host];
      if (on === undefined) throw new Error(`there is no host ${host}`);
      const argv = ['sh', '-c', `cd "$HOME"\n${script}`];
      if (stays) {
        running.push(on.start(argv));
        continue;
      }
      const { code, stdout, stderr } = await on.run(argv, { env: on === control.host ? control.env : {} });
      expect({ host, script, code, stderr }).toMatchObject({ host, script, code: 0 });
      if (prints !== undefined) expect(stdout).toBe(prints);
    }

    const { 'shop-weft': agent, shop } = parse(read('examples/containers/compose-run.yaml')).services;
    const options = await box.check(['weft', 'up', '--help']);
    for (const word of agent.command) if (word.startsWith('--')) expect(options).toContain(word);
    const program = join(box.dir, 'run-shop');
    writeFileSync(program, `#!/bin/sh\n${GUIDE.files.find(({ name }) => name === 'run-shop')?.text}`);
    chmodSync(program, 0o755);
    const [, unit = ''] = /^ExecStart=(.*)$/m.exec(read('packaging/systemd/weft-run@.service')) ?? [];
    let visits = 1;
    for (const words of [unit.replaceAll('%i', 'shop').split(' '), shop.command as string[]]) {
      await running.pop()?.kill();
      const command = words.map((word) =>
        word
          .replace('/opt/weft/bin/weft', 'weft')
          .replace('/run/weft/', `${box.dir}/agent/`)
          .replace('/etc/weft/run/shop', program),
      );
      const started = box.start(['sh', '-c', 'cd "$HOME" && exec "$@"', 'sh', ...command]);
      running.push(started);
      const calls = await until(
        command.join(' '),
        async () => ({ answer: await said(['curl', '-sS', 'http://shop:3000/']), ended: !started.running }),
        // An answer that was lost on its way has counted too.
        ({ answer, ended: over }) => over || visitOf(answer) > visits,
        SETTLED_MS,
      );
      expect({ ...calls, stderr: started.stderr }).toEqual({ answer: calls.answer, ended: false, stderr: '' });
      expect(visitOf(calls.answer)).toBeGreaterThan(visits);
      visits = visitOf(calls.answer);
    }
    await Promise.all(running.map((each) => each.kill()));
  });

  const said = async (argv: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await far.run(argv);
    return (stdout || stderr).trim();
  };
});

/** Which visit the shop counts; 0 for another answer. */
function visitOf(answer: string): number {
  return Number(/^visit (\d+)$/.exec(answer)?.[1] ?? 0);
}
