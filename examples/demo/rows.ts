/** What may and what may not: each row is really tried, and says what came of it. */
import { exec } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { promisify } from 'node:util';
import { attemptTcp, resolve } from './attempt.ts';
import type { DemoMesh } from './mesh.ts';

export interface Row {
  readonly from: string;
  readonly to: string;
  readonly expected: string;
  readonly happened: string;
  readonly right: boolean;
}

interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Tries every row, and the line for a shell. The order matters only where a row says "then". */
export async function tryRows(mesh: DemoMesh, line: string): Promise<Row[]> {
  const { hosts } = mesh;
  const rows: Row[] = [];
  const row = async (
    from: string,
    to: string,
    expected: string,
    attempt: () => Promise<string>,
    right: (happened: string) => boolean,
  ): Promise<void> => {
    const happened = await attempt().catch(
      (error: unknown) => `failed: ${error instanceof Error ? error.message : String(error)}`,
    );
    rows.push({ from, to, expected, happened, right: right(happened) });
  };
  const gateway = (host: string | undefined, path: string): Promise<HttpAnswer> =>
    request(mesh.gatewayPort, host, path);
  /** The shop itself tries a name; asked through the gateway, as everything from outside is. */
  const shopTries = async (name: string, port: number): Promise<string> =>
    JSON.parse((await gateway('shop.example.com', `/try?name=${name}&port=${port}`)).body);
  const status = async (host: string | undefined): Promise<string> => `HTTP ${(await gateway(host, '/')).status}`;
  const refusedByGateway = (happened: string): boolean => /^HTTP 4\d\d$/.test(happened);
  const noSuchName = (happened: string): boolean => happened === 'ENOTFOUND';

  await row(
    'internet',
    'web, through the gateway',
    'answered, with rows of Postgres',
    async () => {
      const answer = await gateway('shop.example.com', '/offers');
      return `HTTP ${answer.status} ${answer.body}`;
    },
    (happened) => happened.startsWith('HTTP 200') && happened.includes('kettle'),
  );
  await row(
    'web',
    'postgres:5432 by name',
    'connected',
    () => shopTries('postgres.internal', 5432),
    (happened) => happened === 'connected',
  );
  await row(
    'web',
    'redis:6379 by name',
    'counts the visit',
    async () => `visit ${(await gateway('shop.example.com', '/visit')).body}`,
    (happened) => happened === 'visit 1',
  );
  await row(
    'any shell here',
    line,
    'answered',
    async () => (await promisify(exec)(line, { timeout: 10_000 })).stdout.trim().replaceAll('\n', ' '),
    (happened) => /2|kettle/.test(happened),
  );
  await row(
    'worker',
    'postgres:5432 by name',
    'takes the job',
    async () => takenJob(gateway),
    (happened) => happened.startsWith('job done'),
  );
  await row(
    'internet',
    'postgres, through the gateway',
    'refused',
    () => status('postgres.internal'),
    refusedByGateway,
  );
  await row('internet', 'mailer, through the gateway', 'refused', () => status('mailer.internal'), refusedByGateway);
  await row('internet', 'no Host at all', 'refused', () => status(undefined), refusedByGateway);
  await row(
    'web',
    'mailer (a worker) by name',
    'no such name',
    () => shopTries('mailer.internal', mesh.trapPort),
    noSuchName,
  );
  await row(
    'web',
    'postgres:5433 (undeclared)',
    'refused',
    () => shopTries('postgres.internal', 5433),
    (happened) => happened === 'ECONNREFUSED',
  );
  await row(
    'worker',
    'web:9090 (a rule denies it)',
    'reset',
    () => attemptTcp(hosts.jobs.dnsPort, 'web.internal', 9090),
    (happened) => happened === 'ECONNRESET',
  );
  await row(
    'worker',
    'web:3000',
    'connected',
    () => attemptTcp(hosts.jobs.dnsPort, 'web.internal', 3000),
    (happened) => happened === 'connected',
  );
  await row(
    'other network',
    'postgres:5432 by name',
    'no such name',
    () => attemptTcp(hosts.neighbour.dnsPort, 'postgres.internal', 5432),
    noSuchName,
  );
  await row(
    'other network',
    'a service of its own, not running',
    'refused',
    () => attemptTcp(hosts.neighbour.dnsPort, 'spy.internal', 5432),
    (happened) => happened === 'ECONNREFUSED' || happened === 'ECONNRESET',
  );
  await row(
    'web',
    'postgres, live, then a rule closes it',
    'cut, within 2 s of the command',
    () => cutLive(mesh),
    (happened) => /^cut after 1?\d{1,3} ms$/.test(happened),
  );
  await row(
    'web',
    'postgres, and the rule is taken back',
    'connected',
    async () => {
      await mesh.apply('');
      return shopTries('postgres.internal', 5432);
    },
    (happened) => happened === 'connected',
  );
  await row(
    'operator',
    'explain web postgres:5432',
    'exit 0',
    async () => `exit ${(await mesh.weft('explain', '--network', 'shop', 'web', 'postgres:5432')).code}`,
    (happened) => happened === 'exit 0',
  );
  await row(
    'operator',
    'explain web mailer:25',
    'exit 3',
    async () => `exit ${(await mesh.weft('explain', '--network', 'shop', 'web', 'mailer:25')).code}`,
    (happened) => happened === 'exit 3',
  );
  return rows;
}

/** Orders through the gateway, and waits until the worker has marked the job. */
async function takenJob(gateway: (host: string, path: string) => Promise<HttpAnswer>): Promise<string> {
  const [ordered] = JSON.parse((await gateway('shop.example.com', '/order')).body) as { id: number }[];
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const jobs = JSON.parse((await gateway('shop.example.com', '/jobs')).body) as {
      id: number;
      done_by: string | null;
    }[];
    const job = jobs.find((one) => one.id === ordered?.id);
    if (job?.done_by != null) return `job done by ${job.done_by}`;
    await new Promise((again) => setTimeout(again, 100));
  }
  return 'the job was not taken';
}

/** Holds a connection from web's host to Postgres while a rule that denies it is applied. */
async function cutLive(mesh: DemoMesh): Promise<string> {
  const socket = net.connect({ host: await resolve(mesh.hosts.front.dnsPort, 'postgres.internal'), port: 5432 });
  const closed = new Promise<number>((done) => socket.once('close', () => done(performance.now())));
  socket.on('error', () => {});
  await new Promise((connected) => socket.once('connect', connected));
  // Postgres answers an SSLRequest with one byte: then the flow stands, all the way to it.
  socket.write(Buffer.from('0000000804d2162f', 'hex'));
  await Promise.race([closed, new Promise((answered) => socket.once('data', answered))]);
  if (socket.destroyed) return 'closed before the rule came';
  // From before the command is started: its own start is counted in.
  const asked = performance.now();
  await mesh.apply('  - { name: closed-for-now, action: deny, from: [web], to: [postgres] }\n');
  const gone = await Promise.race([closed, new Promise<undefined>((late) => setTimeout(() => late(undefined), 2_000))]);
  socket.destroy();
  return gone === undefined ? 'still open' : `cut after ${Math.round(gone - asked)} ms`;
}

function request(port: number, host: string | undefined, path: string): Promise<HttpAnswer> {
  return new Promise((done, failed) => {
    const sent = http.request(
      {
        host: '127.0.0.1',
        port,
        path,
        setHost: false,
        ...(host === undefined ? {} : { headers: { host } }),
        agent: false,
        timeout: 15_000,
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => done({ status: response.statusCode ?? 0, body }));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer in 15 s')));
    sent.on('error', failed);
    sent.end();
  });
}
