/** A platform's deploy of one service, by two clients that know nothing of Weft: curl, and one that learns the API by reflection. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type ClientReadableStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { pinnedCredentials } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ReflectedClient, reflectAdmin } from '../../packages/control/src/rpc/reflection.fixture.ts';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, says, type TcpProgram } from './programs.ts';

/** An answer, as far as it is looked at. */
interface Json {
  readonly code?: string;
  readonly message?: string;
  readonly token?: string;
  readonly result?: { readonly changes?: readonly object[] };
  readonly services?: readonly {
    readonly service?: { readonly name?: string };
    readonly instances?: readonly { readonly healthy?: boolean }[];
  }[];
  readonly flows?: readonly object[];
  readonly hosts?: readonly { readonly flows?: readonly object[] }[];
}

interface Driver {
  /** Rejects with an error whose `code` is a status in lower case. */
  call(method: string, request: object, token?: string): Promise<Json>;
  /** Until `enough` says so of what came. */
  watch(method: string, request: object, enough: (message: Json) => boolean): Promise<void>;
}

let mesh: Mesh;
let near: Agent;
const programs: TcpProgram[] = [];
let reflected: ReflectedClient;
const token = (role: 'admin' | 'read'): string =>
  readFileSync(join(dirname(mesh.control.adminTokenPath), `${role}.token`), 'utf8').trim();

beforeAll(async () => {
  mesh = await Mesh.start('services: {}\n', { dashboard: { host: '127.0.0.1', port: 0 } });
  near = await mesh.agent('near');
  const { address, pin } = mesh.control;
  reflected = await reflectAdmin(address, await pinnedCredentials(address, pin));
});
afterAll(async () => {
  reflected.close();
  await mesh.close();
  for (const program of programs) await program.stop();
});

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code });

const curl: Driver = {
  async call(method, request, bearer = token('admin')) {
    const words = ['-sS', '-H', `Authorization: Bearer ${bearer}`, '--json', JSON.stringify(request)];
    const { stdout } = await promisify(execFile)('curl', [...words, url(method)]);
    const answer = JSON.parse(stdout) as Json;
    if (typeof answer.code === 'string') throw failure(answer.code, answer.message ?? '');
    return answer;
  },
  async watch(method, request, enough) {
    const type = 'Content-Type: application/connect+json';
    const words = ['-sSN', '-H', `Authorization: Bearer ${token('admin')}`, '-H', type, '--data-binary', '@-'];
    const child = spawn('curl', [...words, url(method)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const text = Buffer.from(JSON.stringify(request));
    child.stdin.end(Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), text]));
    try {
      for await (const message of messages(child)) if (enough(message)) return;
    } finally {
      child.kill();
    }
    throw new Error('the stream ended');
  },
};

function url(method: string): string {
  return `http://${mesh.control.dashboard}/weft.v1.AdminService/${method}`;
}

async function* messages({ stdout }: ChildProcess): AsyncGenerator<Json> {
  let buffered = Buffer.alloc(0);
  for await (const piece of stdout ?? []) {
    buffered = Buffer.concat([buffered, piece as Buffer]);
    while (buffered.length >= 5 && buffered.length >= 5 + buffered.readUInt32BE(1)) {
      const to = 5 + buffered.readUInt32BE(1);
      yield JSON.parse(buffered.toString('utf8', 5, to)) as Json;
      buffered = buffered.subarray(to);
    }
  }
}

const grpc: Driver = {
  call: (method, request, bearer = token('admin')) =>
    new Promise((resolve, reject) => {
      reflected[method]?.(request, metadata(bearer), (error: ServiceError | null, answer: Json) => {
        if (error === null) resolve(answer);
        else reject(failure((status[error.code] ?? '').toLowerCase(), error.details));
      });
    }),
  async watch(method, request, enough) {
    const stream = reflected[method]?.(request, metadata(token('admin'))) as ClientReadableStream<Json>;
    // Leaving the loop cancels it.
    for await (const message of stream) if (enough(message)) return;
    throw new Error('the stream ended');
  },
};

function metadata(bearer: string): Metadata {
  const made = new Metadata();
  made.set('authorization', `Bearer ${bearer}`);
  return made;
}

test.each([
  ['curl', curl, { seconds: '600s' }],
  ['grpc', grpc, { seconds: { seconds: 600 } }],
])('%s takes a service from put to delete', async (name, { call, watch }, { seconds }) => {
  const service = { name, kind: 'KIND_PRIVATE', ports: [{ protocol: 'PROTOCOL_TCP', first: 9000, last: 9000 }] };
  const put = await call('PutService', { network: NETWORK, service, terms: { wait: true } });
  expect(put.result?.changes).toMatchObject([{ subject: expect.stringContaining(name) }]);

  const { token: joining = '' } = await call('CreateToken', { network: NETWORK, services: [name], ttl: seconds });
  const healthy = watch('WatchNetwork', { network: NETWORK }, ({ services = [] }) =>
    services.some((one) => one.service?.name === name && one.instances?.some((instance) => instance.healthy)),
  );
  const program = await echo();
  programs.push(program);
  const far = await mesh.agent(`far-${name}`, { token: joining, services: { [name]: { 9000: program.port } } });
  await healthy;
  const listed = await call('ListServices', { network: NETWORK });
  expect(listed.services?.find((one) => one.service?.name === name)?.instances).toMatchObject([
    { host: far.host, healthy: true },
  ]);

  const socket = await connect(await near.vip(name), 9000);
  await says(socket, 'hello');
  // Drained: its program takes no more, callers hear of it, and what is open goes on until it ends by itself.
  const drained = watch('WatchNetwork', { network: NETWORK }, ({ services = [] }) =>
    services.some((one) => one.service?.name === name && one.instances?.every((instance) => !instance.healthy)),
  );
  program.drain();
  await drained;
  await says(socket, 'still here');
  const open = async () => {
    const { hosts = [] } = await call('ListOpenFlows', { network: NETWORK, filter: { service: name } });
    return hosts.flatMap(({ flows = [] }) => flows);
  };
  expect(await until('that it is told of', open, (told) => told.length > 0)).toMatchObject([{ service: name }]);
  socket.end();
  await until('that nothing is open', open, (told) => told.length === 0);
  const { flows } = await until(
    'its flow',
    () => call('ListFlows', { network: NETWORK, filter: { service: name } }),
    (page) => (page.flows ?? []).length > 0,
  );
  expect(flows).toMatchObject([{ service: name, destinationHost: far.host }]);

  await expect(call('ListServices', { network: NETWORK }, token('read'))).resolves.toHaveProperty('services');
  const remove = (bearer?: string) => call('DeleteService', { network: NETWORK, name, terms: { wait: true } }, bearer);
  await expect(remove(token('read'))).rejects.toMatchObject({ code: 'permission_denied' });
  await expect(remove('weftadmin1.wrong')).rejects.toMatchObject({ code: 'unauthenticated' });
  await remove();
  await expect(remove()).rejects.toMatchObject({ code: 'not_found' });
});
