/** The agent service: a join is handed to enroll, a stream to the hub. */
import { Metadata, type ServerDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import { CAPABILITY, capabilityOf } from '@weft/proto';
import { type AgentHandlers, agentService, boundAgentMessage, boundJoin, type pb, wellFormed } from '@weft/proto/wire';
import type { Logger } from 'pino';
import { observedPeer } from '../bounds/observed.ts';
import type { Enroller } from '../enroll/enroller.ts';
import type { AgentCall, AgentStream } from '../watch/agent-stream.ts';
import type { Hub } from '../watch/hub.ts';
import { cutCall, type ProvedCalls } from './call-stream.ts';
import { unary } from './handler.ts';
import { decoded, decodedLater } from './library-refusals.ts';

/** A message for an agent: a value, or its encoded bytes. */
type Outbound = pb.Outgoing<pb.ControlMessage> | Uint8Array;

/** The agent service with two things more: a message that is encoded already goes out as it is, and none is decoded unbounded. */
export const framedAgentService: typeof agentService = {
  join: decodedLater({
    ...agentService.join,
    requestDeserialize: (bytes) => {
      boundJoin(bytes);
      return agentService.join.requestDeserialize(bytes);
    },
  }),
  connect: {
    ...agentService.connect,
    requestDeserialize: (bytes) => {
      boundAgentMessage(bytes);
      return agentService.connect.requestDeserialize(bytes);
    },
    responseSerialize: (message: Outbound): Buffer =>
      message instanceof Uint8Array
        ? Buffer.from(message.buffer, message.byteOffset, message.byteLength)
        : agentService.connect.responseSerialize(message),
  },
};

export interface AgentServiceOptions {
  readonly hub: Pick<Hub, 'open' | 'joined'>;
  readonly enroller: Pick<Enroller, 'join'>;
  readonly proved: ProvedCalls;
  readonly logger: Logger;
}

/** To be registered with framedAgentService. */
export function agentHandlers({ hub, enroller, proved, logger }: AgentServiceOptions): AgentHandlers {
  return {
    join: unary(logger, async (call) => {
      const request = decoded(call.request);
      const joined = await enroller.join(request, observedPeer(call.getPeer()));
      hub.joined(joined.agentId, capabilityOf(request.capability));
      return { ...joined, capability: CAPABILITY };
    }),
    connect: (call) => serve(call, hub, proved, logger),
  };
}

type Stream = ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>;

function serve(stream: Stream, hub: Pick<Hub, 'open'>, proved: ProvedCalls, logger: Logger): void {
  const session = hub.open(callOf(stream, proved));
  // A call that ends reports an error that says no more than that it ended.
  stream.on('error', () => session?.closed());
  if (session === undefined) return;
  stream.on('data', (message: pb.AgentMessage) => receive(session, message, logger));
  stream.on('cancelled', () => session.closed());
  // The agent has said its last: there is no lifeline in one direction.
  stream.on('end', () => session.end({ code: status.CANCELLED, details: 'the agent ended the stream' }));
}

/** What one agent says must never be what ends control. */
function receive(session: AgentStream, message: pb.AgentMessage, logger: Logger): void {
  try {
    session.receive(message);
  } catch (error) {
    logger.error({ event: 'agent-message-failed', agent: session.agentId, err: error }, 'a message of an agent failed');
    session.end({ code: status.INTERNAL, details: 'control failed to take in a message; its log says why' });
  }
}

function callOf(stream: Stream, proved: ProvedCalls): AgentCall {
  return {
    peer: observedPeer(stream.getPeer()),
    send(message, done) {
      // Framed bytes pass through framedAgentService's serializer; grpc-js itself knows objects only by the serializer's type.
      stream.write(message as pb.Outgoing<pb.ControlMessage>, () => done?.());
    },
    proved: () => proved.prove(stream),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    finish(code, details, farewellMs) {
      const answer: ServiceError = Object.assign(new Error(details), {
        code,
        details: wellFormed(details),
        metadata: new Metadata(),
      });
      // An agent that does not read, or does not end its half of the call, is cut off: what it half sent is held no longer.
      setTimeout(() => cutCall(stream), farewellMs).unref();
      // grpc-js ends a stream with the status that an error on it carries, after what was written before.
      stream.emit('error', answer);
    },
  };
}
