/** Why a place cannot be listened on, in words that say what to do. */
import { messageOf, type Problem } from '@weft/proto';
import { type Place, placeName } from './places.ts';

/** All codes that a place can have, one at a time. */
const PLACE_PROBLEMS = [
  'port-taken',
  'port-privileged',
  'address-unavailable',
  'too-many-files',
  'port-shared',
  'port-awaited',
  'listen-failed',
] as const;

export type PlaceProblem = Problem & { readonly code: (typeof PLACE_PROBLEMS)[number] };

/** The problem behind a failed bind. */
export function bindProblem(place: Place, cause: unknown): PlaceProblem {
  const where = `${place.address}:${place.port}/${place.protocol}`;
  const subject = placeName(place);
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return {
        code: 'port-taken',
        subject,
        message:
          `another program holds port ${place.port}, so ${where} cannot be listened on; a program that listens on ` +
          `every address (0.0.0.0 or ::) takes the port of every service too: let it listen on 127.0.0.1 (see: ss -lnp sport = :${place.port}); ` +
          'where it is another agent on this machine, --vip-range gives each a range of its own',
      };
    case 'EACCES':
    case 'EPERM':
      return {
        code: 'port-privileged',
        subject,
        message:
          `this user may not listen on ${where}; as root, either allow it to all programs: sysctl -w ` +
          `net.ipv4.ip_unprivileged_port_start=${place.port}, or to the agent's node: setcap cap_net_bind_service=+ep NODE, ` +
          'or start the agent through authbind; or declare a higher port',
      };
    case 'EADDRNOTAVAIL':
      return {
        code: 'address-unavailable',
        subject,
        message: `${place.address} is not an address of this host; where 127.0.0.0/8 is not all local, add it: ifconfig lo0 alias ${place.address}`,
      };
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
      return {
        code: 'too-many-files',
        subject,
        message: `no file is left to listen on ${where} with; raise the limit (ulimit -n, or LimitNOFILE= in the unit) and restart the agent`,
      };
    default:
      return {
        code: 'listen-failed',
        subject,
        message: `cannot listen on ${where}: ${messageOf(cause)}`,
      };
  }
}

/** A program of this host has the port on every address, so the kernel takes calls to the place to that program. */
export function sharedProblem(place: Place): PlaceProblem {
  return {
    code: 'port-shared',
    subject: placeName(place),
    message:
      `a program of this host listens on port ${place.port} on every address; calls from this host to ${place.address}:${place.port} ` +
      `reach it directly, past ${place.service}'s other instances and the policy; let it listen on 127.0.0.1:${place.port}`,
  };
}

/** A program of this host is expected on the port, and might want it on every address. */
export function awaitedProblem(place: Place, when: string): PlaceProblem {
  return {
    code: 'port-awaited',
    subject: placeName(place),
    message:
      `${place.address}:${place.port}/${place.protocol} is not listened on yet: ${when}; give this host's own service ` +
      'another port to listen on (targets in the agent file) to be free of this',
  };
}
