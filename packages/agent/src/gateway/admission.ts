/** Whether a request goes on, and where: decided on its head alone, before anything is opened for it. */
import type { IncomingMessage } from 'node:http';
import {
  type Authority,
  type BodyFraming,
  expectsContinue,
  fieldValues,
  parseAuthority,
  parseTarget,
  readFraming,
} from './fields.ts';
import type { Route } from './routes.ts';

export interface Admitted {
  readonly admitted: true;
  readonly route: Route;
  readonly host: Authority;
  readonly path: string;
  readonly framing: BodyFraming;
}

export interface Refused {
  readonly admitted: false;
  readonly status: 400 | 404 | 405 | 417;
}

/**
 * 400 for what is malformed, 405 for what no service is asked, 404 for every host that leads nowhere, known inside or
 * not. What is wrong with the form is told before the host is looked up, so that no answer depends on both.
 */
export function admit(request: IncomingMessage, findRoute: (host: string) => Route | undefined): Admitted | Refused {
  const { method = '', url = '', httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return refused(400);
  const framing = readFraming(request);
  if (framing === undefined) return refused(400);
  // TRACE would echo what only the gateway and the service should see; CONNECT is no way into the network.
  if (method === 'TRACE' || method === 'CONNECT') return refused(405);
  const [field, ...more] = fieldValues(request.rawHeaders, 'host');
  const host = field === undefined || more.length > 0 ? undefined : parseAuthority(field);
  const target = parseTarget(method, url);
  if (host === undefined || target === undefined) return refused(400);
  // RFC 9112 section 3.2.2 would have the target win. Two names for one request is how routers are played off
  // against each other, and no client sends them.
  if (target.authority !== undefined && target.authority.name !== host.name) return refused(400);
  // An expectation that nobody here can meet, RFC 9110 section 10.1.1.
  if (request.headers.expect !== undefined && !expectsContinue(request)) return refused(417);
  const route = findRoute(host.name);
  return route === undefined ? refused(404) : { admitted: true, route, host, path: target.path, framing };
}

function refused(status: Refused['status']): Refused {
  return { admitted: false, status };
}
