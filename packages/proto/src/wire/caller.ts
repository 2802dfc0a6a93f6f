/** Who calls: `web`, `host:build-3` or `internet` in the model, and one of three on the wire. */
import { WIRE_LIMITS } from '../model/limits.ts';
import { hostName, serviceName, text } from './check.ts';
import type * as pb from './pb.ts';

type Wire = pb.Outgoing<pb.Caller> | null | undefined;

const HOST = 'host:';

/** Null, which is not sent, for nobody. */
export function callerToWire(source: string): pb.Outgoing<pb.Caller> | null {
  if (source === '') return null;
  if (source === 'internet') return { internet: {} };
  return source.startsWith(HOST) ? { host: source.slice(HOST.length) } : { service: source };
}

/** As somebody asks for it; empty when not set. Throws WireError for a name that nobody can have. */
export function callerFromWire(wire: Wire, field: string): string {
  return read(
    wire,
    (host) => hostName(host, `${field}.host`),
    (name) => serviceName(name, `${field}.service`),
  );
}

/** As it is told by who is believed, or checked by what it is for. Throws WireError for what no listing could show. */
export function callerName(wire: Wire, field: string): string {
  const name = (value: string): string => text(value, field, WIRE_LIMITS.name);
  return read(wire, name, name);
}

function read(wire: Wire, host: (name: string) => string, service: (name: string) => string): string {
  if (wire?.internet) return 'internet';
  // Of a oneof that came off the wire, those that are not set are null.
  if (typeof wire?.host === 'string') return `${HOST}${host(wire.host)}`;
  return typeof wire?.service === 'string' ? service(wire.service) : '';
}
