/** Which public host name leads to which service. Compiled once a netmap. */
import { defined, includesPort } from '@weft/proto';
import type { Netmap, NetmapSource } from '../words/netmap.ts';

export interface Route {
  readonly service: string;
  readonly port: number;
  /** How long the service has to begin its answer, milliseconds; undefined where it says nothing of it. */
  readonly responseMs?: number;
}

type Routes = ReadonlyMap<string, Route>;

/** Web services' public hosts, and nothing else there is. A host that two services claim leads nowhere. */
export function compileRoutes(netmap: Netmap): Routes {
  const routes = new Map<string, Route>();
  const disputed = new Set<string>();
  for (const { service } of netmap.services.values()) {
    const { public: ingress } = service;
    if (service.kind !== 'web' || ingress === undefined || !includesPort(service.ports, ingress.port, 'tcp')) continue;
    for (const name of ingress.hosts) {
      const host = name.toLowerCase().replace(/\.$/, '');
      if (routes.has(host) && routes.get(host)?.service !== service.name) disputed.add(host);
      routes.set(host, {
        service: service.name,
        port: ingress.port,
        ...defined({ responseMs: ingress.responseTimeoutMs }),
      });
    }
  }
  for (const host of disputed) routes.delete(host);
  return routes;
}

/** Looks hosts up in the netmap that is in force at the moment of the question. */
export function createRouter(source: NetmapSource): (host: string) => Route | undefined {
  let netmap = source.current;
  let routes = compileRoutes(netmap);
  return (host) => {
    if (source.current !== netmap) {
      netmap = source.current;
      routes = compileRoutes(netmap);
    }
    return routes.get(host);
  };
}
