/** Reading a Host field and a request target. Whatever two readers could take for two things is malformed here. */

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
