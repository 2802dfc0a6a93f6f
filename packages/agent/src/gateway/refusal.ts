/** The gateway's own answers. One body for all of them: what it says depends on nothing inside. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { OUTCOMES } from '@weft/proto';
import { part } from './client.ts';
import { IngressError } from './errors.ts';
import { eachField } from './fields.ts';
import type { GatewayCounters } from './types.ts';

const BODY = 'Not available.\n';
const FIELDS = [
  'Content-Type',
  'text/plain; charset=utf-8',
  'Content-Length',
  String(BODY.length),
  'Cache-Control',
  'no-store',
];

/** Answers in place of the service. `last`: nothing more is read, as after 400, where it is in doubt where the next request starts. */
export function refuse(
  response: ServerResponse,
  status: number,
  counters: GatewayCounters,
  last: boolean = status === 400,
): void {
  count(status, counters);
  response.writeHead(status, last ? [...FIELDS, 'Connection', 'close'] : FIELDS);
  response.end(BODY);
}

/** The same on a connection that has no response object, because its request was not understood or is an upgrade. */
export function refuseRaw(socket: Duplex, status: number, counters: GatewayCounters): void {
  count(status, counters);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.write(rawHead(status, STATUS_CODES[status], [...FIELDS, 'Connection', 'close']) + BODY, 'latin1');
  part(socket);
}

/** A response's head as it stands on the wire, in Latin-1. The fields come from a parser or from here, so need no check. */
export function rawHead(status: number, reason: string | undefined, fields: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${reason ?? ''}\r\n`;
  eachField(fields, (name, value) => {
    head += `${name}: ${value}\r\n`;
  });
  return `${head}\r\n`;
}

function count(status: number, counters: GatewayCounters): void {
  if (status < 500) counters.refused++;
  else counters.failed++;
}

/** What a client is told when its request could not be carried. */
export function failureStatus(error: unknown): 404 | 502 | 503 | 504 {
  if (!(error instanceof IngressError)) return 502;
  if (error.code === 'timeout') return 504;
  const { code } = error;
  const hasNone = code === 'client-gone' || code === 'hung-up' || code === 'garbled' || code === 'coded';
  return hasNone ? 502 : OUTCOMES[code].publicStatus;
}
