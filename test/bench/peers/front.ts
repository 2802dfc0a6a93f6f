/** HTTP for peers that do not speak it themselves: HAProxy in front, which calls the web server by way of the peer. */
import type { Path } from '../path.ts';
import type { Stage } from '../stage.ts';
import { configuration } from './haproxy.ts';
import { writeOn } from './proxy.ts';

/** The same path, with HTTP where the peer leads to the web server and there is a program for it. */
export async function withFront(stage: Stage, name: string, path: Path): Promise<Path> {
  const web = stage.servers.includes('web') ? path.tcp(stage.ports.web) : undefined;
  if (path.http !== undefined || web === undefined || !stage.installed('haproxy')) return path;
  const http = { host: '127.0.0.1', port: await stage.port() };
  const at = ({ host, port }: typeof http): string => `${host}:${port}`;
  const text = configuration([{ name: 'http', bind: at(http), server: at(web), http: true }]);
  const argv = [stage.program('haproxy'), '-db', '-f', writeOn(stage.client, `front-${name}.cfg`, text)];
  const front = stage.client.start(argv);
  return { ...path, http, front: [front], processes: path.processes };
}
