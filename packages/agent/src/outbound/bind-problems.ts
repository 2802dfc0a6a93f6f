/** Why a listener cannot be listened on, in words that say what to do. */
import { type ListenerProblemCode, listenerName, messageOf, type Problem } from '@weft/proto';
import type { PortHolder } from '../owner/port-holders.ts';
import type { ListenerSpec } from './listener-spec.ts';

export type ListenerProblem = Problem & { readonly code: ListenerProblemCode };

/** The problem behind a failed bind; `holder`: who is known to have the port. */
export function bindProblem(spec: ListenerSpec, cause: unknown, holder?: PortHolder): ListenerProblem {
  const where = `${spec.address}:${spec.port}/${spec.protocol}`;
  const told = (code: ListenerProblemCode, message: string) => ({ code, subject: listenerName(spec), message });
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return told(
        'port-taken',
        `${whoHolds(holder)} port ${spec.port}, so ${where} cannot be listened on for ${spec.service}; a program that listens on ` +
          `every address (0.0.0.0 or ::) takes the port of every service too: let it listen on 127.0.0.1 (see: ss -lnp sport = :${spec.port}); ` +
          'where it is another agent on this machine, --vip-range gives each a range of its own',
      );
    case 'EACCES':
    case 'EPERM':
      return told(
        'port-privileged',
        `this user may not listen on ${where}; as root, either allow it to all programs: sysctl -w ` +
          `net.ipv4.ip_unprivileged_port_start=${spec.port}, or to the agent's node: setcap cap_net_bind_service=+ep NODE, ` +
          'or start the agent through authbind; or declare a higher port',
      );
    case 'EADDRNOTAVAIL':
      return told(
        'address-unavailable',
        spec.address.startsWith('127.')
          ? `${spec.address} is not an address of this host; where 127.0.0.0/8 is not all local, add it: ifconfig lo0 alias ${spec.address}`
          : `${spec.address} is not an address of this host; as root, make --vip-range local: ip route add local RANGE dev lo`,
      );
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
      return told(
        'too-many-files',
        `no file is left to listen on ${where} with; raise the limit (ulimit -n, or LimitNOFILE= in the unit) and restart the agent`,
      );
    default:
      return told('listen-failed', `cannot listen on ${where}: ${messageOf(cause)}`);
  }
}

function whoHolds(holder: PortHolder | undefined): string {
  const places = '--tunnel, --dns, --metrics, gateway.http';
  if (holder === undefined) return `another program, or this agent itself (${places}), holds`;
  const { own, user, pid, program } = holder;
  if (own) return `this agent itself (${places}) holds`;
  const process = pid === undefined ? `of user ${user}` : `(process ${pid} of user ${user})`;
  return `${program === '' ? 'a program' : program} ${process} holds`;
}

/** A program of this host has the port on every address, so the kernel takes calls to the listener to that program. */
export function sharedProblem(spec: ListenerSpec): ListenerProblem {
  return {
    code: 'port-shared',
    subject: listenerName(spec),
    message:
      `a program of this host listens on port ${spec.port} on every address; calls from this host to ${spec.address}:${spec.port} ` +
      `reach it directly, past ${spec.service}'s other instances and the policy; let it listen on 127.0.0.1:${spec.port}`,
  };
}

/** A program of this host is expected to take the port on every address, as it did when it was last seen. */
export function awaitedProblem(spec: ListenerSpec): ListenerProblem {
  return {
    code: 'port-awaited',
    subject: listenerName(spec),
    message:
      `${spec.address}:${spec.port}/${spec.protocol} is left free for a program of this host, which does not listen now and takes ` +
      `port ${spec.port} on every address when it does; start it, or let it listen on 127.0.0.1 and say so in the agent file: ` +
      `targets: { ${spec.port}: "127.0.0.1:${spec.port}" }`,
  };
}
