/**
 * A span for each call of weft's own services. What is asked for by streams lives for days, and a span is seen only when it
 * ends: so that of a stream goes to the first answer. Of what is said, a span carries the network's name, and the agent's id
 * once it is proven; never a token nor a mesh.
 */

import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { defined } from '@weft/proto';
import { parseTraceParent, type Span, type SpanRequest, type Tracer } from '@weft/proto/observe';
import { ADMIN_PREFIX } from './roles.ts';

const OURS = '/weft.v1.';
/** Codes that are the server's fault, by OpenTelemetry's conventions; the others are what the caller asked for. */
const FAULTS: readonly status[] = [
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
];

/**
 * To stand behind the check of the admin token: a stranger's call of the admin service makes no span, and is in the log. Join and
 * Connect are open to strangers and make one: with where it came from and how it ended, and with nothing that a stranger said.
 */
export function rpcTracing(tracer: Tracer): ServerInterceptor {
  return ({ path, responseStream }, call) => {
    if (!path.startsWith(OURS)) return new ServerInterceptingCall(call);
    const proven = path.startsWith(ADMIN_PREFIX);
    const traced: Traced = { span: undefined, asked: false, claimed: undefined };
    const end = (code: status | undefined): void => {
      const { span } = traced;
      traced.span = undefined;
      endSpan(span, code);
    };
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const { remoteAddress } = call.getConnectionInfo();
            // An agent's call has proved nothing yet, and what it says of its caller's trace is not listened to.
            const [parent] = proven ? metadata.get('traceparent') : [];
            traced.span = tracer.start(spanOf('grpc', path, remoteAddress, parent));
            proceed(metadata);
          },
          onReceiveMessage: (message, proceed) => {
            if (!traced.asked && proven) describe(traced.span, message);
            else if (!traced.asked) traced.claimed = claimedAgent(message as Claim);
            traced.asked = true;
            proceed(message);
          },
          onCancel: () => end(status.CANCELLED),
        });
      },
      sendMessage: (message, proceed) => {
        if (responseStream && traced.asked && isAnswer(message)) {
          // Whoever could not prove to be the agent it named is sent nothing but a farewell.
          if (traced.claimed !== undefined) traced.span?.set({ 'weft.agent': traced.claimed });
          end(undefined);
        }
        proceed(message);
      },
      sendStatus: (answer, proceed) => {
        end(answer.code ?? status.UNKNOWN);
        proceed(answer);
      },
    });
  };
}

/** `parent` is the header traceparent. */
export function spanOf(
  system: 'grpc' | 'connectrpc',
  path: string,
  remoteAddress: string | undefined,
  parent: unknown,
): SpanRequest {
  // By OpenTelemetry's conventions for RPC: the name and the method are the same, and have no slash in front.
  const method = path.slice(1);
  const values = {
    'rpc.system.name': system,
    'rpc.method': method,
    ...(remoteAddress === undefined ? {} : { 'client.address': remoteAddress }),
  };
  const known = typeof parent === 'string' ? parseTraceParent(parent) : undefined;
  return { name: method, kind: 'server', values, ...defined({ parent: known }) };
}

interface Traced {
  span: Span | undefined;
  asked: boolean;
  /** The agent that a caller says it is. */
  claimed: string | undefined;
}

interface Described {
  readonly network?: unknown;
  readonly mesh?: { readonly network?: unknown } | null;
}

interface Claim {
  readonly hello?: { readonly agentId?: unknown } | null;
}

const LONGEST = 64;

/** Says what network an admin call is about. */
export function describe(span: Span | undefined, message: unknown): void {
  const { network, mesh } = message as Described;
  const name = network ?? mesh?.network;
  if (typeof name === 'string' && name !== '') span?.set({ 'weft.network': name.slice(0, LONGEST) });
}

function claimedAgent({ hello }: Claim): string | undefined {
  const agent = hello?.agentId;
  return typeof agent === 'string' && agent !== '' ? agent.slice(0, LONGEST) : undefined;
}

/** A challenge belongs before the question, also of a caller that does not wait for it; a farewell has a status right behind it. */
function isAnswer(message: unknown): boolean {
  return typeof message === 'object' && message !== null && !('challenge' in message) && !('revoked' in message);
}

/** Without a code for a stream that goes on. */
export function endSpan(span: Span | undefined, code: status | undefined): void {
  if (span !== undefined && code !== undefined) {
    const name = status[code] ?? String(code);
    span.set({ 'rpc.response.status_code': name });
    if (FAULTS.includes(code)) {
      span.set({ 'error.type': name });
      span.fail(name);
    }
  }
  span?.end();
}
