/**
 * Calls that stand open of callers who have proved nothing. A health Watch lasts for as long as its caller likes, and 15,000 of them took
 * 230 MiB; so an address has a share of them, and when there are too many in all the oldest makes room.
 */
import { constants } from 'node:http2';
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { addressGroup } from '@weft/proto/bounds';
import { agentService } from '@weft/proto/wire';
import { ByteBudget } from '../bounds/budget.ts';
import { observedHost } from '../bounds/observed.ts';
import { refuseCall, streamOf } from './call-stream.ts';
import { ADMIN_PREFIX } from './roles.ts';

/** In all, and of one address: each may hold an answer of reflection's, some 60 KiB. */
const OPEN = { most: 1_024, mostOfOne: 128 } as const;

/** Health and reflection. Admin calls and Connect prove who calls, and a Join is short. */
export function answersAnyone(path: string): boolean {
  return !path.startsWith(ADMIN_PREFIX) && path !== agentService.connect.path && path !== agentService.join.path;
}

export function openCalls({ most, mostOfOne }: { most: number; mostOfOne: number } = OPEN): ServerInterceptor {
  const shares = new ByteBudget(Number.POSITIVE_INFINITY, mostOfOne);
  const open = new Set<NonNullable<ReturnType<typeof streamOf>>>();
  return ({ path }, call) => {
    const stream = streamOf(call);
    if (stream === undefined || !answersAnyone(path)) return new ServerInterceptingCall(call);
    const who = addressGroup(observedHost(call.getPeer()) || 'unknown');
    if (!shares.take(who, 1)) {
      return new ServerInterceptingCall(call, {
        start: (next) => {
          next();
          const details = `at most ${mostOfOne} calls of one address stand open here; end others first`;
          refuseCall(call, status.RESOURCE_EXHAUSTED, 'too-many-calls', details);
        },
      });
    }
    const [oldest] = open;
    if (open.size >= most && oldest !== undefined) {
      // One whose connection is stuck closes late, and must not be found again.
      open.delete(oldest);
      oldest.close(constants.NGHTTP2_CANCEL);
    }
    open.add(stream);
    stream.once('close', () => {
      open.delete(stream);
      shares.giveBack(who, 1);
    });
    return new ServerInterceptingCall(call);
  };
}
