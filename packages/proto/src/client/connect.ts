/** Calls of control's admin API, typed, over gRPC. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { parseHostPort } from '../model/endpoint.ts';
import { decodeAdminToken } from '../node/token.ts';
import { PinMismatchError } from '../wire/errors.ts';
import { fetchPinnedCertificate, holdsPin } from '../wire/pin.ts';
import { AdminService } from './messages.ts';

/** Unanswered for as long again, the connection is dead and its calls fail as Code.Unavailable. */
const PING_MS = 15_000;

export interface ConnectOptions {
  /** Of control, HOST:PORT. */
  readonly address: string;
  /** The text of admin.token or read.token. It holds the pin of control's certificate, which is all that is trusted. */
  readonly token: string;
  /** Gives up connecting; a call takes a signal, and a `timeoutMs`, of its own. */
  readonly signal?: AbortSignal;
}

/** A method for each call. They reject with ConnectError; errorDetails() reads what it carries. Disposing ends them all. */
export type Admin = Client<typeof AdminService> & Disposable;

/**
 * Connects again by itself when the connection is lost: a call of that time fails, the next one may not. Rejects with
 * TokenError, ControlUnreachableError or PinMismatchError, or the signal's reason.
 */
export async function connectAdmin({ address, token, signal }: ConnectOptions): Promise<Admin> {
  const { pin } = decodeAdminToken(token);
  const certificate = await fetchPinnedCertificate(address, pin, signal);
  const host = parseHostPort(address)?.host ?? '';
  const baseUrl = `https://${address}`;
  const tls = {
    // Of an address there is none; Node would send it, and warn of that.
    ...(isIP(host) === 0 ? {} : { servername: '' }),
    ca: certificate.toString(),
    checkServerIdentity: (_host: string, shown: { readonly raw: Buffer }) =>
      holdsPin(new X509Certificate(shown.raw), pin) ? undefined : new PinMismatchError(address),
  };
  const sessionManager = new Http2SessionManager(baseUrl, { pingIntervalMs: PING_MS, pingTimeoutMs: PING_MS }, tls);
  const authorize: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${token.trim()}`);
    return next(request);
  };
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors: [authorize], acceptCompression: [] });
  return Object.assign(createClient(AdminService, transport), { [Symbol.dispose]: () => sessionManager.abort() });
}
