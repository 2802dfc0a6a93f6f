/** Which header fields cross the gateway, in which direction. Works on raw fields: [name, value, name, value...]. */
import type { IncomingMessage } from 'node:http';

export interface Authority {
  /** Lower case, without port and without the root's dot: what routes are looked up by. */
  readonly name: string;
  /** As the client wrote it. */
  readonly text: string;
}

/** Registered names alone, and the dotted quads among them; underscores, because they are in use. */
const registeredName =
  /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/;
const addressLiteral = /^\[[0-9A-Fa-f:.]{2,45}\]$/;
const portDigits = /^\d{0,5}$/;
const MAX_NAME = 254;

/** RFC 9110 section 7.2, without userinfo, lists and percent-encoding; undefined when it is malformed. */
export function parseAuthority(text: string): Authority | undefined {
  const colon = text.lastIndexOf(':');
  const hasPort = colon > text.lastIndexOf(']');
  const name = hasPort ? text.slice(0, colon) : text;
  const port = hasPort ? text.slice(colon + 1) : '';
  if (!portDigits.test(port) || Number(port) > 65_535 || name.length > MAX_NAME) return undefined;
  if (!registeredName.test(name) && !addressLiteral.test(name)) return undefined;
  return { name: name.toLowerCase().replace(/\.$/, ''), text };
}

export interface Target {
  /** What is asked of the service: a path and query, or `*`. */
  readonly path: string;
  /** Of an absolute-form target alone. */
  readonly authority: Authority | undefined;
}

/** RFC 9112 section 3.2; undefined when it is malformed. Authority-form belongs to CONNECT, which is refused. */
export function parseTarget(method: string, target: string): Target | undefined {
  if (target.includes('#')) return undefined;
  if (target.startsWith('/')) return { path: target, authority: undefined };
  if (target === '*') return method === 'OPTIONS' ? { path: '*', authority: undefined } : undefined;
  const match = /^http:\/\/([^/?]+)([/?].*)?$/i.exec(target);
  const authority = parseAuthority(match?.[1] ?? '');
  if (match === null || authority === undefined) return undefined;
  const rest = match[2];
  // Section 3.2.4: OPTIONS for a whole server arrives without a path when it was sent through a proxy.
  if (rest === undefined) return { path: method === 'OPTIONS' ? '*' : '/', authority };
  return { path: rest.startsWith('?') ? `/${rest}` : rest, authority };
}

/** How a request's body is delimited. */
export type BodyFraming =
  | { readonly type: 'none' }
  | { readonly type: 'length'; readonly bytes: string }
  | { readonly type: 'chunked' };

/** RFC 9110 section 7.6.1, with those that Connection should have named and by custom does not. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Written by the gateway itself, or believed by services only from it. `Proxy` turns into HTTP_PROXY under CGI. */
const ownRequestFields: ReadonlySet<string> = new Set([
  'content-length',
  'expect',
  'forwarded',
  'host',
  'proxy',
  'x-real-ip',
]);

/** What may not come after the body: framing, routing, who is asking (RFC 9110 section 6.5.1). */
const neverInTrailers: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'max-forwards',
  'range',
  'set-cookie',
]);

/** Every value of a field, in order; `name` in lower case. */
export function fieldValues(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  eachField(raw, (known, value) => {
    if (known.length === name.length && known.toLowerCase() === name) values.push(value);
  });
  return values;
}

export function eachField(raw: readonly string[], visit: (name: string, value: string) => void): void {
  for (let index = 0; index + 1 < raw.length; index += 2) visit(raw[index] ?? '', raw[index + 1] ?? '');
}

/**
 * Servers that turn names into variables (RFC 3875 section 4.1.18) take `_` for `-`, and some, as lighttpd, for whatever is no letter and no
 * digit; so a field is known by any of these.
 */
function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return /[^a-z0-9-]/.test(lower) ? lower.replaceAll(/[^a-z0-9-]/g, '-') : lower;
}

const NO_CLAIMS: ReadonlySet<string> = new Set();

/** Fields that the Connection field claims for this hop. */
function claimedByConnection(raw: readonly string[]): ReadonlySet<string> {
  const values = fieldValues(raw, 'connection');
  if (values.length === 0) return NO_CLAIMS;
  return new Set(values.flatMap((value) => value.split(',').map((token) => canonicalName(token.trim()))));
}

/**
 * Undefined when two servers could find two ends of the body: the seed of request smuggling. The parser refuses most of
 * these before; what it may one day let through stops here.
 */
export function readFraming(request: IncomingMessage): BodyFraming | undefined {
  const codings = fieldValues(request.rawHeaders, 'transfer-encoding');
  const lengths = fieldValues(request.rawHeaders, 'content-length');
  if (codings.length + lengths.length > 1) return undefined;
  const [coding] = codings;
  const [bytes] = lengths;
  if (coding !== undefined) {
    return coding.toLowerCase() === 'chunked' && request.httpVersion === '1.1' ? { type: 'chunked' } : undefined;
  }
  if (bytes === undefined) return { type: 'none' };
  return /^\d{1,15}$/.test(bytes) ? { type: 'length', bytes } : undefined;
}

/** How the client's request is known to the service. */
export interface RequestContext {
  readonly host: Authority;
  readonly clientAddress: string;
  readonly framing: BodyFraming;
  /** The protocols asked for, when the request is to be upgraded. */
  readonly upgrade?: string;
}

/** The fields of the request to the service. */
export function requestFields(request: IncomingMessage, context: RequestContext): string[] {
  const { host, clientAddress, framing, upgrade } = context;
  const raw = request.rawHeaders;
  const claimed = claimedByConnection(raw);
  const fields = ['Host', host.text];
  eachField(raw, (name, value) => {
    const canonical = canonicalName(name);
    if (hopByHop.has(canonical) || ownRequestFields.has(canonical) || claimed.has(canonical)) return;
    if (!canonical.startsWith('x-forwarded-')) fields.push(name, value);
  });
  const connection = upgrade === undefined ? ['keep-alive'] : ['Upgrade'];
  if (upgrade !== undefined) fields.push('Upgrade', upgrade);
  if (fieldValues(raw, 'te').some((value) => /(?:^|[\s,])trailers(?:$|[\s,;])/i.test(value))) {
    fields.push('TE', 'trailers');
    connection.push('TE');
  }
  fields.push('Connection', connection.join(', '));
  if (framing.type === 'chunked') {
    fields.push('Transfer-Encoding', 'chunked', ...listed(raw, 'Trailer'));
  } else if (framing.type === 'length') {
    fields.push('Content-Length', framing.bytes);
  } else if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'OPTIONS') {
    fields.push('Content-Length', '0');
  }
  if (framing.type !== 'none' && expectsContinue(request)) fields.push('Expect', '100-continue');
  const forwardedFor = clientAddress.includes(':') ? `"[${clientAddress}]"` : clientAddress;
  fields.push('X-Forwarded-For', clientAddress, 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', host.text);
  fields.push('Forwarded', `for=${forwardedFor};host="${host.text}";proto=http`);
  return fields;
}

export function expectsContinue(request: IncomingMessage): boolean {
  return request.headers.expect?.toLowerCase() === '100-continue';
}

/** Answers without a body, whatever their fields say (RFC 9112 section 6.3). */
const bodiless: ReadonlySet<number | undefined> = new Set([204, 304]);

/**
 * Whether node joins the body of the answer to `method` to what the service meant. Of codings it undoes the chunks that come last, and the field that
 * names them is of this hop alone (RFC 9112 section 6.1): of another the client would get bytes that it cannot know to unpack. `identity` is none
 * (RFC 2616 section 3.6); old servers say it.
 */
export function isPlain({ rawHeaders, statusCode }: IncomingMessage, method: string | undefined): boolean {
  if (method === 'HEAD' || bodiless.has(statusCode)) return true;
  const values = fieldValues(rawHeaders, 'transfer-encoding');
  const codings = values.flatMap((value) => value.toLowerCase().split(',')).map((coding) => coding.trim());
  const isChunked = codings.at(-1) === 'chunked';
  return codings.every((coding) => coding === 'identity' || (coding === 'chunked' && isChunked));
}

/** The fields of the response to the client. `chunked`: it may have trailers, and so may announce them. */
export function responseFields(response: IncomingMessage, chunked: boolean): string[] {
  const raw = response.rawHeaders;
  const claimed = claimedByConnection(raw);
  const fields: string[] = [];
  eachField(raw, (name, value) => {
    const canonical = canonicalName(name);
    if (hopByHop.has(canonical) || claimed.has(canonical)) return;
    // Some say it, and a client that believes it waits for a body that may not come (RFC 9110 section 8.6).
    if (canonical === 'content-length' && response.statusCode === 204) return;
    fields.push(name, value);
  });
  if (chunked) fields.push(...listed(raw, 'Trailer'));
  // 426 must say to what, RFC 9110 section 15.5.22.
  if (response.statusCode === 426) fields.push(...listed(raw, 'Upgrade'));
  return fields;
}

/** A list field as one line, or nothing when there is none. */
function listed(raw: readonly string[], name: string): string[] {
  const values = fieldValues(raw, name.toLowerCase());
  return values.length === 0 ? [] : [name, values.join(', ')];
}

/** The trailer fields that may cross, as pairs. */
export function trailerFields(raw: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  eachField(raw, (name, value) => {
    const canonical = canonicalName(name);
    const kept = hopByHop.has(canonical) || ownRequestFields.has(canonical) || neverInTrailers.has(canonical);
    if (!kept && !canonical.startsWith('x-forwarded-')) fields.push([name, value]);
  });
  return fields;
}
