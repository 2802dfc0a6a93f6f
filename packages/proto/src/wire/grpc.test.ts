import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { connect as connectPlain, createServer, type Server as NetServer, type Socket } from 'node:net';
import { credentials, Metadata, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeCertificate } from './certificate.fixture.ts';
import { errorDetails, errorStatus } from './error-details.ts';
import { ControlUnreachableError, PinMismatchError } from './errors.ts';
import {
  AdminClient,
  type AdminHandlers,
  AgentClient,
  type AgentHandlers,
  adminService,
  agentService,
  bearerMetadata,
  callDuplex,
  callServerStream,
  callUnary,
} from './grpc.ts';
import { certificatePin, fetchPinnedCertificate } from './pin.ts';
import { pinnedCredentials } from './pinned.ts';

const control = makeCertificate();
const pin = certificatePin(control.certificate);
let server: Server;
let address: string;
let admin: AdminClient;
let agent: AgentClient;

/** Handlers that are not under test. */
const unused = (_call: unknown, callback: (error: Partial<ServiceError>) => void): void =>
  callback({ code: status.UNIMPLEMENTED });

const adminHandlers: AdminHandlers = {
  apply: (call, callback) => {
    const services = call.request.mesh?.services ?? [];
    if (call.metadata.get('authorization')[0] !== 'Bearer token') callback({ code: status.UNAUTHENTICATED });
    else if (services.length === 0)
      callback(null, { result: { revision: 2 ** 40, warnings: [{ field: 'f', message: 'm' }] } });
    else
      callback(
        errorStatus(status.INVALID_ARGUMENT, 'wrong', {
          reason: 'tests-failed',
          metadata: { revision: '7' },
          fields: services.map(({ name }) => ({ field: `services.${name}`, message: 'not today' })),
          retryMs: 1_500,
        }),
      );
  },
  getStatus: () => {
    // Never answers: for deadlines and aborts.
  },
  watchFlows: (call) => {
    for (let port = 1; port <= call.request.past; port++) call.write({ flow: { port } });
    if (call.request.network !== 'endless') call.end();
  },
  putService: unused,
  deleteService: unused,
  putPolicy: unused,
  deletePolicy: unused,
  putAgent: unused,
  grantServices: unused,
  deleteNetwork: unused,
  getMesh: unused,
  listServices: unused,
  listAgents: unused,
  watchNetwork: (call) => call.end(),
  renameAgent: unused,
  revokeAgent: unused,
  createToken: unused,
  listTokens: unused,
  replaceToken: unused,
  revokeToken: unused,
  explain: unused,
  listFlows: unused,
  listOpenFlows: unused,
  countFlows: unused,
  listTraffic: unused,
  listReach: unused,
  listRevisions: unused,
  listAudit: unused,
};

const agentHandlers: AgentHandlers = {
  join: unused,
  connect: (call) => {
    call.write({ challenge: { nonce: Buffer.alloc(32, 1) } });
    call.on('data', (message) => call.write({ revoked: { reason: message.resync?.reason ?? 'no reason' } }));
    call.on('end', () => call.end());
  },
};

beforeAll(async () => {
  server = new Server();
  server.addService(adminService, adminHandlers);
  server.addService(agentService, agentHandlers);
  const tls = ServerCredentials.createSsl(null, [{ cert_chain: control.cert, private_key: control.key }]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', tls, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  address = `127.0.0.1:${port}`;
  const trusted = await pinnedCredentials(address, pin);
  admin = new AdminClient(address, trusted);
  agent = new AgentClient(address, trusted);
});

afterAll(() => {
  admin.close();
  agent.close();
  server.forceShutdown();
});

async function failure(promise: Promise<unknown>): Promise<Partial<ServiceError> & Error> {
  return promise.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: Error) => error,
  );
}

describe('a unary call', () => {
  const metadata = bearerMetadata('token');

  it('answers with a whole message, 64-bit numbers as numbers and absent fields at their defaults', async () => {
    const { result } = await callUnary(admin, adminService.apply, { mesh: { network: 'prod' } }, { metadata });
    expect(result?.revision).toBe(2 ** 40);
    expect(result?.warnings.map(({ field, message }) => [field, message])).toEqual([['f', 'm']]);
    expect([result?.changes, result?.stragglers]).toEqual([[], []]);
  });

  it('rejects with the status, and the fields that it names', async () => {
    const mesh = { services: [{ name: 'a' }, { name: 'b' }] };
    const error = await failure(callUnary(admin, adminService.apply, { mesh }, { metadata }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toBe('services.a: not today (and 1 more)');
    expect(errorDetails(error)).toEqual({
      reason: 'TESTS_FAILED',
      metadata: { revision: '7' },
      fields: [
        { field: 'services.a', message: 'not today' },
        { field: 'services.b', message: 'not today' },
      ],
      retryMs: 1_500,
    });
  });

  it('carries as many field errors as a header may hold', async () => {
    const services = Array.from({ length: 5_000 }, (_, n) => ({ name: `service-${n}` }));
    const error = await failure(callUnary(admin, adminService.apply, { mesh: { services } }, { metadata }));
    expect(error.details).toBe('services.service-0: not today (and 4999 more)');
    const { fields, metadata: about } = errorDetails(error);
    expect(fields.length).toBeGreaterThan(100);
    expect(fields[100]?.field).toBe('services.service-100');
    expect(about.fields).toBe('5000');
  });

  it('has no field errors to read from other errors', async () => {
    const error = await failure(callUnary(admin, adminService.apply, {}));
    expect(error.code).toBe(status.UNAUTHENTICATED);
    const nothing = { reason: '', metadata: {}, fields: [] };
    const damaged = new Metadata();
    damaged.set('grpc-status-details-bin', Buffer.from([0x1a, 0xff, 0x01]));
    for (const each of [error, undefined, new Error(), { metadata: damaged }])
      expect(errorDetails(each)).toEqual(nothing);
  });

  it('ends at its deadline', async () => {
    const error = await failure(callUnary(admin, adminService.getStatus, {}, { deadlineMs: 20 }));
    expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  });

  it("ends with the signal's reason, before it starts or after", async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = failure(callUnary(admin, adminService.getStatus, {}, { signal: controller.signal }));
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await failure(callUnary(admin, adminService.getStatus, {}, { signal: controller.signal }))).toBe(reason);
  });

  it('is refused when its bytes are no message, and the server goes on', async () => {
    const raw = new AdminClient(address, await pinnedCredentials(address, pin));
    const rubbish = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const bytes = Buffer.from('ffffffffff', 'hex');
        const same = (value: Buffer): Buffer => value;
        raw.makeUnaryRequest(adminService.apply.path, same, same, bytes, (error, answer) =>
          error ? reject(error) : resolve(answer),
        );
      });
    expect((await failure(rubbish())).code).toBe(status.INTERNAL);
    raw.close();
    expect((await callUnary(admin, adminService.apply, {}, { metadata })).result?.revision).toBe(2 ** 40);
  });
});

describe('streams', () => {
  it('give each message, then end', async () => {
    const ports: number[] = [];
    for await (const { flow } of callServerStream(admin, adminService.watchFlows, { past: 3 }))
      ports.push(flow?.port ?? 0);
    expect(ports).toEqual([1, 2, 3]);
  });

  it('end when the signal says so', async () => {
    const controller = new AbortController();
    const call = callServerStream(
      admin,
      adminService.watchFlows,
      { past: 1, network: 'endless' },
      { signal: controller.signal },
    );
    call.on('data', () => controller.abort());
    const error = await new Promise<ServiceError>((resolve) => {
      call.on('error', (cause) => resolve(cause as ServiceError));
    });
    expect(error.code).toBe(status.CANCELLED);
  });

  it('end when the signal had spoken before', async () => {
    const call = callDuplex(agent, agentService.connect, { signal: AbortSignal.abort() });
    const error = await new Promise<ServiceError>((resolve) => {
      call.on('error', (cause) => resolve(cause as ServiceError));
      call.resume();
    });
    expect(error.code).toBe(status.CANCELLED);
  });

  it('run both ways', async () => {
    const call = callDuplex(agent, agentService.connect);
    const seen: string[] = [];
    for await (const message of call) {
      if (message.challenge) {
        seen.push(`nonce of ${message.challenge.nonce.length}`);
        call.write({ resync: { reason: 'a gap' } });
      }
      if (message.revoked) {
        seen.push(message.revoked.reason);
        call.end();
      }
    }
    expect(seen).toEqual(['nonce of 32', 'a gap']);
  });
});

describe('pinned credentials', () => {
  it('come from the certificate that holds the pinned key', async () => {
    expect((await fetchPinnedCertificate(address, pin)).fingerprint256).toBe(control.certificate.fingerprint256);
  });

  it('are refused for another key', async () => {
    const other = certificatePin(makeCertificate().certificate);
    expect(await failure(pinnedCredentials(address, other))).toBeInstanceOf(PinMismatchError);
    expect(await failure(pinnedCredentials(address, pin.subarray(0, 8)))).toBeInstanceOf(PinMismatchError);
  });

  it.each(['1970-01-02', '2050-01-01'])('say that the clock or the certificate is wrong, at %s', async (day) => {
    vi.useFakeTimers({ now: Date.parse(day), toFake: ['Date'] });
    const error = await failure(pinnedCredentials(address, pin)).finally(() => vi.useRealTimers());
    expect(error).toBeInstanceOf(ControlUnreachableError);
    expect(error.message).toContain(`this host's clock says ${day}`);
  });

  it('do not let a channel talk to a control that holds another key', async () => {
    const other = makeCertificate();
    const impostor = credentials.createSsl(other.cert);
    const client = new AdminClient(address, impostor);
    const error = await failure(callUnary(client, adminService.apply, {}, { deadlineMs: 1_000 }));
    expect([status.UNAVAILABLE, status.DEADLINE_EXCEEDED]).toContain(error.code);
    client.close();
  });

  it('say that nobody is there', async () => {
    const [free, close] = await listen(() => {});
    await close();
    const error = await failure(pinnedCredentials(free, pin));
    expect(error).toBeInstanceOf(ControlUnreachableError);
    expect(error).toMatchObject({
      what: `control at ${free} cannot be reached: nobody listens there (ECONNREFUSED)`,
      message: expect.stringMatching(/\(ECONNREFUSED\); check that weft-control runs there/),
      advice: [expect.stringContaining('check that weft-control runs there')],
    });
  });

  it('say of each address of a name what became of it, and give each time enough for a packet that is sent again', async () => {
    // One that takes no more connections answers nothing to who comes.
    const full = spawn(process.execPath, [
      '-e',
      `const server = require('net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port))`,
    ]);
    onTestFinished(() => void full.kill('SIGKILL'));
    const [said] = (await once(full.stdout, 'data')) as [Buffer];
    const port = Number(said.toString());
    full.kill('SIGSTOP');
    const waiting = [1, 2, 3].map(() => connectPlain(port, '127.0.0.1').on('error', () => {}));
    onTestFinished(() => {
      for (const socket of waiting) socket.destroy();
    });
    await Promise.all(waiting.slice(0, 2).map((socket) => once(socket, 'connect')));
    const answers = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
    const lookup = vi
      .spyOn(dns, 'lookup')
      .mockImplementation(
        ((_: string, __: object, answer: (...all: unknown[]) => void) =>
          void setImmediate(answer, null, answers)) as never,
      );
    onTestFinished(() => void lookup.mockRestore());
    const began = performance.now();
    expect(await failure(pinnedCredentials(`control.example:${port}`, pin))).toMatchObject({
      why: '127.0.0.1: no answer in time (ETIMEDOUT); 127.0.0.2: nobody listens there (ECONNREFUSED)',
    });
    // No sooner, however slow the machine is.
    expect(performance.now() - began).toBeGreaterThan(1_200);
  });

  it('say of who takes the connection and says nothing that it is there', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const spoken = Promise.withResolvers<void>();
    const [mute, close] = await listen((socket) => void socket.once('data', () => spoken.resolve()));
    const failed = failure(pinnedCredentials(mute, pin));
    await spoken.promise;
    vi.advanceTimersByTime(5_000);
    expect(await failed).toMatchObject({ why: 'it takes the connection, and says nothing within 5 s' });
    vi.useRealTimers();
    await close();
  });

  it('say that whoever is there speaks no TLS', async () => {
    const [plain, close] = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await failure(pinnedCredentials(plain, pin))).toMatchObject({
      why: expect.stringContaining('speaks no TLS'),
    });
    await close();
  });

  it.each([
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes', (socket: Socket) => socket.end()],
  ])('say that whoever is there %s', async (_, accept) => {
    const [odd, close] = await listen(accept);
    const told = {
      why: expect.stringMatching(/^who answers there ends the connection( \(ECONNRESET\))?$/),
      advice: [expect.stringContaining('--listen')],
    };
    expect(await failure(pinnedCredentials(odd, pin))).toMatchObject(told);
    await close();
  });

  it("end with the signal's reason while the other side is silent", async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const [silent, close] = await listen(() => controller.abort(reason));
    expect(await failure(pinnedCredentials(silent, pin, controller.signal))).toBe(reason);
    expect(await failure(pinnedCredentials(silent, pin, controller.signal))).toBe(reason);
    await close();
  });

  it('need HOST:PORT', async () => {
    expect(await failure(pinnedCredentials('nowhere', pin))).toBeInstanceOf(ControlUnreachableError);
  });
});

/** A TCP listener, its address, and how to close it. */
async function listen(accept: (socket: Socket) => void): Promise<[string, () => Promise<void>]> {
  const listener: NetServer = createServer((socket) => {
    // Read on, or the listener would never see the other side go.
    socket.on('error', () => socket.destroy()).resume();
    accept(socket);
  });
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve);
  });
  const bound = listener.address();
  const port = typeof bound === 'object' ? bound?.port : undefined;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      listener.close(() => resolve());
    });
  return [`127.0.0.1:${port}`, close];
}
