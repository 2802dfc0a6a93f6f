/** The way by which whoever gives the command has come to this host: it is not to be closed behind them. */
import { readFileSync } from 'node:fs';
import { formatHostPort, normalHost } from '@weft/proto';
import { GuardError } from '../../guard/errors.ts';
import type { ServicePlace } from '../../inbound/exposure.ts';

/** sudo takes the variable away, and leaves it with its parents. */
const MOST_PARENTS = 32;

/** Throws GuardError where one of the places is the port of an SSH session that this process is of. */
export function refuseOwnWay(places: readonly ServicePlace[], proc = '/proc', self = process.pid): void {
  const way = serverOf(proc, self);
  if (way === undefined) return;
  const closes = places.find(
    ({ protocol, port, address }) =>
      protocol === 'tcp' &&
      port === way.port &&
      (address === (way.host.includes(':') ? '::' : '0.0.0.0') || normalHost(address) === normalHost(way.host)),
  );
  if (closes === undefined) return;
  throw new GuardError(
    'guard-own-way',
    `the guard would close ${formatHostPort(way.host, way.port)}, by which you are here (it is of service ${closes.service}); ` +
      `say in the agent file that it is meant to be reached, exposure: { allow: [${way.port}] }, and weft reload; or give the command on the console`,
  );
}

/** SSH_CONNECTION: client's address and port, server's address and port. */
function serverOf(proc: string, self: number): { readonly host: string; readonly port: number } | undefined {
  for (let pid = self, count = 0; pid > 1 && count < MOST_PARENTS; count++) {
    const [, host, port] =
      /(?:^|\0)SSH_CONNECTION=\S+ \d+ (\S+) (\d+)(?:\0|$)/.exec(textOf(`${proc}/${pid}/environ`)) ?? [];
    if (host !== undefined) return { host, port: Number(port) };
    const status = textOf(`${proc}/${pid}/status`);
    pid = Number(/^PPid:\t(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
