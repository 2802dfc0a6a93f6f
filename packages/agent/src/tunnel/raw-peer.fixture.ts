/** An enrolled agent gone bad, for tests: a real handshake, and then whatever frames the test likes. */
import { once } from 'node:events';
import net from 'node:net';
import { UNSAID_CAPABILITY } from '@weft/proto';
import { decodeRecord, encodeHeader } from '../protocol/mux/frames.ts';
import { decodeOpen, encodeOpen } from '../protocol/mux/opening.ts';
import { FRAME, type FrameHandler, type FrameType } from '../protocol/mux/types.ts';
import { Initiator } from '../protocol/noise/initiator.ts';
import { keyPairFromSecret } from '../protocol/noise/keys.ts';
import { encodePreamble, ReplyReader } from '../protocol/noise/preamble.ts';
import { prologue } from '../protocol/noise/prologue.ts';
import { RecordOpener, RecordSealer } from '../protocol/record/record.ts';
import type { OpenRequest, SourceClaim } from '../words/opening.ts';
import type { TestAgent } from './agents.fixture.ts';
import { encodeGreeting } from './greeting.ts';
import { sessionFor } from './handshake.ts';

export function frame(type: FrameType, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeHeader(type, id, payload.length), payload]);
}

export const ping: Buffer = frame(FRAME.ping, 0, Buffer.alloc(8));

export class RawPeer {
  readonly socket: net.Socket;
  /** What came, as `opened 1` or `pong`. */
  readonly heard: string[] = [];
  /** Who it was told is calling, by each OPEN that came. */
  readonly asked: SourceClaim[] = [];
  /** Bytes of DATA that came, by stream. */
  readonly data: Map<number, number> = new Map();
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>;
  readonly #sealer: RecordSealer;

  private constructor(socket: net.Socket, sealer: RecordSealer) {
    this.socket = socket;
    this.#sealer = sealer;
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
  }

  /** Shakes hands as `from`, of that capability, and says nothing yet. */
  static async dial(from: TestAgent, to: TestAgent, capability: number = UNSAID_CAPABILITY): Promise<RawPeer> {
    const socket = net.connect(to.tunnels.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const staticKey = keyPairFromSecret(from.secretKey);
    const initiator = new Initiator({
      cipher: 'AESGCM',
      prologue: prologue('test'),
      staticKey,
      remoteStatic: to.peer.tunnelKey,
      psk: to.peer.psk,
      newEphemeral: () => keyPairFromSecret(crypto.getRandomValues(new Uint8Array(32))),
    });
    socket.write(
      encodePreamble('AESGCM', initiator.writeMessage1(encodeGreeting({ index: 0, packetLimit: 0 }, capability))),
    );
    const reader = new ReplyReader();
    let reply = reader.push(((await once(socket, 'data')) as [Buffer])[0]);
    while (reply === undefined) reply = reader.push(((await once(socket, 'data')) as [Buffer])[0]);
    const session = sessionFor(initiator.readMessage2(reply.message).session, capability);
    const peer = new RawPeer(socket, new RecordSealer(session.send));
    const opener = new RecordOpener(session.receive, (pieces, owned) => decodeRecord(pieces, peer.#handler(), owned));
    socket.on('data', (piece) => opener.push(piece));
    return peer;
  }

  /** One record of these frames. */
  send(...frames: readonly Buffer[]): void {
    this.#sealer.seal(frames, (piece) => this.socket.write(piece));
  }

  open(id: number, request: OpenRequest, window = 65_536): void {
    this.send(frame(FRAME.open, id, encodeOpen(request, request.protocol === 'tcp' ? window : 0)));
  }

  #handler(): FrameHandler {
    const note = (name: string) => (id?: unknown) => {
      this.heard.push(typeof id === 'number' ? `${name} ${id}` : name);
    };
    const names = Object.keys(FRAME) as (keyof typeof FRAME)[];
    const handlers = Object.fromEntries(names.map((name) => [name, note(name)]));
    const data = (id: number, piece: Buffer): void => {
      this.data.set(id, (this.data.get(id) ?? 0) + piece.length);
    };
    const open = (id: number, payload: Buffer): void => {
      this.heard.push(`open ${id}`);
      const { request } = decodeOpen(payload);
      if (request !== undefined) this.asked.push(request.source);
    };
    return { stopped: false, ...handlers, data, open } as unknown as FrameHandler;
  }
}
