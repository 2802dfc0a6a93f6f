/**
 * Who comes to the TLS port without TLS, as a curl with http:// or a gRPC client in plain text does, is told so in the words of what it
 * speaks, and not left with a connection that ends.
 */
import type { Socket } from 'node:net';

/** Of a TLS record that begins a handshake. */
const HANDSHAKE = 0x16;
/** What every client says first that speaks HTTP/2 without having asked: RFC 9113, section 3.4. */
const PREFACE = 'PRI * HTTP/2.0\r\n';
/** A method, and where it begins to say of what. */
const REQUEST = /^[A-Z]{3,16} \S/;
/** INADEQUATE_SECURITY: RFC 9113, section 7. */
const INADEQUATE_SECURITY = 0xc;

const WORDS =
  'this port speaks TLS: gRPC by the certificate control.crt (grpcurl -cacert control.crt). JSON over HTTP is at the port of --dashboard, 7480 unless it says otherwise';

const HTTP_1 = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${WORDS.length + 1}\r\nConnection: close\r\n\r\n${WORDS}\n`,
);

// Each frame: length u24 · type u8 · flags u8 · stream u32. GOAWAY, type 7: last stream u32 · error u32 · text.
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const GOAWAY = Buffer.alloc(17);
GOAWAY.writeUIntBE(8 + WORDS.length, 0, 3);
GOAWAY.writeUInt8(7, 3);
GOAWAY.writeUInt32BE(INADEQUATE_SECURITY, 13);
const HTTP_2 = Buffer.concat([SETTINGS, GOAWAY, Buffer.from(WORDS)]);

/** How long who was answered may go on talking: closed at once, the answer would be thrown away by the reset. */
const LINGER_MS = 1_000;

/** Hands over who begins TLS, and whoever says nothing that is known; the first bytes are there to be read again. */
export function answerPlainCallers(take: (connection: Socket) => void): (connection: Socket) => void {
  return (connection) => {
    connection.on('error', () => connection.destroy());
    connection.once('readable', () => {
      const first = connection.read() as Buffer | null;
      if (first === null) {
        // It ended, and said nothing.
        connection.destroy();
        return;
      }
      const answer = answerTo(first);
      if (answer === undefined) {
        connection.unshift(first);
        take(connection);
        return;
      }
      connection.end(answer);
      connection.resume();
      const late = setTimeout(() => connection.destroy(), LINGER_MS).unref();
      connection.once('close', () => clearTimeout(late));
    });
  };
}

function answerTo(first: Buffer): Buffer | undefined {
  if (first[0] === HANDSHAKE) return undefined;
  const text = first.toString('latin1', 0, PREFACE.length + 1);
  if (text.startsWith(PREFACE)) return HTTP_2;
  return REQUEST.test(text) ? HTTP_1 : undefined;
}
