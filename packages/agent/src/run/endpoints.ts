/** Whether other hosts can dial this agent, where it wants to be dialled. One that listens on a single address was told to. */
import { dialableEndpoint, formatHostPort } from '@weft/proto';
import { leavesHost } from '../tunnel/endpoints.ts';
import type { Problems } from '../words/problems.ts';

/** Of a host that other hosts cannot find. */
export function followEndpoints(problems: Problems, host: string, port: number): void {
  const subject = formatHostPort(host, port);
  const leaves = leavesHost(host);
  if (leaves === true) problems.clear('no-endpoint', subject);
  // Undefined: what could not be looked at tells nothing.
  if (leaves !== false) return;
  const message =
    'no address of this host leaves it, so agents of other hosts cannot dial it, unless control sees where it comes from; ' +
    'see to the network (ip addr), or say where they find it with --advertise HOST:PORT';
  problems.raise({ code: 'no-endpoint', subject, message });
}

/** Of an address that control does not tell to others, as it is this host's alone and control sees the host elsewhere. */
export function followAdvertised(problems: Problems, advertise: string | undefined, observedHost: string): void {
  if (advertise === undefined || observedHost === '') return;
  if (dialableEndpoint(advertise, observedHost) !== undefined) {
    problems.clear('endpoint-refused', advertise);
    return;
  }
  const message =
    `no agent of another host can dial ${advertise}, and control, which sees this one come from ${observedHost}, ` +
    'tells them of no such address; start it with --advertise HOST:PORT of an address where they find it';
  problems.raise({ code: 'endpoint-refused', subject: advertise, message });
}
