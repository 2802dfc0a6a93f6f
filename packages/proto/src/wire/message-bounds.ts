/**
 * How much there is in a message, seen from its bytes, before anything is made of them. Two bytes on the wire can be an
 * object in memory: 8 MiB of those would hold up control for half a second and fill hundreds of megabytes, and a stranger
 * may send a Hello before it has proved anything. Bytes are read by what decodes them afterwards, so that both see the same.
 */
import protobuf from 'protobufjs/minimal.js';
import { OversizedMessageError } from './errors.ts';
import { weft } from './generated.ts';

/** A message type: its fields that hold messages themselves, by number. */
interface Shape {
  readonly [field: number]: Shape;
}

interface MessageType<Message> {
  encode(message: Message): { finish(): Uint8Array };
}

const PLAIN: Shape = {};

/** By the names of fields, of which a list stands for a repeated one; their numbers are those that generated code writes. */
function shape<Message>(
  type: MessageType<Message>,
  fields: { readonly [Field in keyof Message]?: Shape | readonly [Shape] },
): Shape {
  const numbered = Object.entries<Shape | readonly [Shape] | undefined>(fields).map(([field, inside]) => {
    const repeated = Array.isArray(inside);
    const probe = type.encode({ [field]: repeated ? [{}] : {} } as Message).finish();
    return [protobuf.Reader.create(probe).uint32() >>> 3, repeated ? inside[0] : inside];
  });
  return Object.fromEntries(numbered) as Shape;
}

const {
  AgentMessage,
  FlowBatch,
  InstanceReport,
  OpenFlowsResult,
  PairTraffic,
  Report,
  ReportedSandbox,
  Standing,
  Telemetry,
} = weft.v1;
const REPORT = shape(Report, {
  instances: [shape(InstanceReport, { notListening: [PLAIN], opened: [PLAIN] })],
  problems: [PLAIN],
  exposed: [PLAIN],
  sandboxes: [shape(ReportedSandbox, { startTime: PLAIN, ports: [PLAIN] })],
});
const AGENT_MESSAGE = shape(AgentMessage, {
  hello: PLAIN,
  ack: PLAIN,
  report: REPORT,
  flows: shape(FlowBatch, { records: [PLAIN] }),
  resync: PLAIN,
  trace: PLAIN,
  telemetry: shape(Telemetry, { pairs: [shape(PairTraffic, { lastDenied: PLAIN })], peers: [PLAIN] }),
  openFlows: shape(OpenFlowsResult, { flows: [PLAIN] }),
  tryPlaces: PLAIN,
  standing: shape(Standing, { inventory: [PLAIN], report: REPORT }),
});

/** Three for each of the 100,000 items that an inventory may have, and room for the rest. */
const MOST_FIELDS = 400_000;

/** Of one message that control takes of who may act, or of an agent that has proved who it is: the largest mesh, or inventory. */
export const MOST_REQUEST_BYTES: number = 8 * 1024 * 1024;

/** The largest Join that is valid stays well below both. */
export const MOST_JOIN_BYTES: number = 64 * 1024;
const MOST_JOIN_FIELDS = 1_000;

/** Throws OversizedMessageError. */
export function boundAgentMessage(bytes: Uint8Array): void {
  if (!hasAtMost(MOST_FIELDS, bytes, AGENT_MESSAGE)) throw new OversizedMessageError('AgentMessage');
}

/** Throws OversizedMessageError. */
export function boundJoin(bytes: Uint8Array): void {
  const fits = bytes.length <= MOST_JOIN_BYTES && hasAtMost(MOST_JOIN_FIELDS, bytes, PLAIN);
  if (!fits) throw new OversizedMessageError('JoinRequest');
}

/** Whether there are at most so many fields, in the message and in those that its shape names. False for what is malformed. */
function hasAtMost(most: number, bytes: Uint8Array, of: Shape): boolean {
  const reader = protobuf.Reader.create(bytes);
  let left = most;
  const walk = (end: number, fields: Shape): boolean => {
    while (reader.pos < end) {
      left -= 1;
      const tag = reader.uint32();
      const wireType = tag & 7;
      // Groups, which these messages have none of.
      if (left < 0 || wireType === 3) return false;
      const inside = wireType === 2 ? fields[tag >>> 3] : undefined;
      if (inside === undefined) {
        reader.skipType(wireType);
        continue;
      }
      const length = reader.uint32();
      if (length > end - reader.pos || !walk(reader.pos + length, inside)) return false;
    }
    return reader.pos === end;
  };
  try {
    return walk(bytes.length, of);
  } catch {
    // The reader went beyond the end, or met what no message has.
    return false;
  }
}
