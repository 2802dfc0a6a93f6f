/**
 * What a stranger's HTTP/2 may ask of control before any interceptor sees it, for which grpc-js has no channel option. HPACK lets a byte
 * stand for a field of 4 KiB, and grpc-js makes one text of those of one name: 300 KB on the wire became 460 MiB, held by their calls.
 */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { type Server, ServerCredentials } from '@grpc/grpc-js';

/** Bytes of names and values of a call, as others bound them by default. A token, a trace and what a proxy adds are far less. */
const HEADER_BYTES = 8 * 1024;
/** A call has some ten fields, and what stands before control may add as many again. */
const FIELDS = 48;
/** Calls that a connection may begin and take back at once, and then each second (CVE-2023-44487): Node's own thousand take 0.2 s to serve. */
const RESETS = { streamResetBurst: 100, streamResetRate: 33 };

/** The TLS end of the gRPC port. */
export class BoundCredentials extends ServerCredentials {
  constructor(keyPem: string, certificatePem: string) {
    // What is said of headers holds for who has acknowledged it; see boundHeaders for others.
    const settings = { maxConcurrentStreams: 256, maxHeaderListSize: HEADER_BYTES };
    super({ ...RESETS, maxHeaderListPairs: FIELDS, settings }, { key: keyPem, cert: certificatePem });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/**
 * Takes the headers of a call that has too many before grpc-js looks at them: it answers 415, and the call is over. To be called once the
 * server has its port. Where a later grpc-js keeps its HTTP/2 servers elsewhere none is found, and calls hold what FIELDS lets them.
 */
export function boundHeaders(server: Server): void {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<Http2Server, unknown> };
  for (const http2 of http2Servers?.keys() ?? []) http2.prependListener('stream', bound);
}

function bound(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  let bytes = 0;
  // The length of a text that was put together is known without putting it together.
  for (const [name, value = ''] of Object.entries(headers))
    for (const each of [value].flat()) bytes += name.length + each.length;
  if (bytes <= HEADER_BYTES) return;
  for (const name of Object.keys(headers)) delete headers[name];
  setImmediate(() => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
}
