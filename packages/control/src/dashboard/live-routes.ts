/** Live updates: one feed for each network that somebody looks at. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { defined, entryOf } from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { requireNetwork } from '../admin/request.ts';
import { RolePlaces } from '../admin/role-places.ts';
import type { LiveAgents } from '../fleet/live.ts';
import type { FlowWindow } from '../flows/types.ts';
import { onOtherNetwork } from '../state/other-network.ts';
import type { StateStore } from '../state/types.ts';
import type { DiskWatch } from '../store/disk-watch.ts';
import type { Traffic, TrafficStatus } from '../traffic/types.ts';
import { DashboardError } from './errors.ts';
import { requireSession } from './guard.ts';
import { ANSWER_HEADERS } from './headers.ts';
import { LiveFeed } from './live-feed.ts';
import type { PieceTexts } from './pieces.ts';
import { closed, networkName } from './schemas.ts';
import type { Session, Sessions } from './sessions.ts';
import { agentViews, networkView, serviceViews, trafficView } from './views.ts';

export interface LiveRouteOptions {
  readonly sessions: Sessions;
  readonly state: StateStore;
  readonly live: LiveAgents;
  readonly flows: Pick<FlowWindow, 'follow' | 'dropped'>;
  readonly traffic: Pick<Traffic, 'list' | 'omitted'>;
  readonly disk: Pick<DiskWatch, 'problems'>;
  readonly now: () => number;
  /** Never goes back, whatever is done to the clock. */
  readonly steady: () => number;
  readonly logger: Logger;
}

const MOST_OF_ONE_SESSION = 8;

export function liveRoutes(app: FastifyInstance, options: LiveRouteOptions): void {
  const { sessions, state, steady } = options;
  const feedOf = feeds(options);
  const places = new Places();

  app.get<{ Querystring: { readonly network?: string } }>(
    '/live',
    {
      config: { access: 'read' },
      schema: { querystring: closed({ network: networkName }) },
      // A HEAD of a stream would never end.
      exposeHeadRoute: false,
    },
    async (request, reply) => {
      const session = requireSession(request);
      const { name } = requireNetwork(state.current, request.query.network ?? '');
      const leave = places.take(session);
      const lastEventId = request.headers['last-event-id'];
      reply.hijack();
      try {
        await stream({
          response: reply.raw,
          feed: feedOf(name),
          lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
          ended: session.ended,
          permitted: () => sessions.use(session),
          steady,
        });
      } finally {
        leave();
      }
    },
  );
}

/** Of each network that was ever looked at, until it is removed: each keeps what it last sent, so that a page can resume. */
function feeds(options: LiveRouteOptions): (network: string) => LiveFeed {
  const { state, flows, now, steady, logger } = options;
  const known = new Map<string, LiveFeed>();
  const make = (network: string): LiveFeed => {
    const follow = (signal: AbortSignal) => flows.follow(network, {}, signal);
    const id = randomBytes(8).toString('hex');
    return new LiveFeed({ id, look: looker(network, options), follow, now, steady, logger });
  };
  // Also that who looks asks no more for its flows, which would be kept again for it.
  onOtherNetwork(state, (network) => {
    known.get(network)?.end();
    known.delete(network);
  });
  return (network) => entryOf(known, network, () => make(network));
}

/** The pieces of one network as they are at each call. */
function looker(name: string, { state, live, flows, traffic, disk }: LiveRouteOptions): () => PieceTexts | undefined {
  // Traffic keeps a pair that did not change as the same object, and of thousands few change in a second.
  const pairTexts = new WeakMap<TrafficStatus, string>();
  const pairText = (pair: TrafficStatus): string => entryOf(pairTexts, pair, () => JSON.stringify(trafficView(pair)));
  return () => {
    const network = state.current.networks.get(name);
    if (network === undefined) return undefined;
    const { olderData, acceptsOlderData } = state;
    const lost = { flowsDropped: flows.dropped(name), trafficOmitted: traffic.omitted(name), disk: disk.problems };
    return {
      network: JSON.stringify(networkView(network, live, { ...lost, acceptsOlderData, ...defined({ olderData }) })),
      services: new Map(serviceViews(network, live).map((view) => [view.name, JSON.stringify(view)])),
      agents: new Map(agentViews(network, live).map((view) => [view.host, JSON.stringify(view)])),
      traffic: new Map(traffic.list(name).map((pair) => [pairKey(pair), pairText(pair)])),
    };
  };
}

function pairKey({ source, sourceHost, service, destinationHost }: TrafficStatus): string {
  return `${source} ${sourceHost} ${service} ${destinationHost}`;
}

/** How many streams may be open at once. */
class Places {
  readonly #ofRoles = new RolePlaces();
  readonly #bySession = new WeakMap<Session, number>();

  take(session: Session): () => void {
    const own = this.#bySession.get(session) ?? 0;
    const leave = own < MOST_OF_ONE_SESSION ? this.#ofRoles.take(session.role) : undefined;
    if (leave === undefined) {
      const whose = own >= MOST_OF_ONE_SESSION ? 'you have' : 'those who are signed in with your token have';
      throw new DashboardError('too-many-streams', `${whose} too many pages with live updates open; close one`);
    }
    this.#bySession.set(session, own + 1);
    return () => {
      leave();
      this.#bySession.set(session, (this.#bySession.get(session) ?? 1) - 1);
    };
  }
}

interface LiveStreamOptions {
  readonly response: ServerResponse;
  readonly feed: LiveFeed;
  readonly lastEventId: string | undefined;
  /** Aborts when whoever looks may look no longer. */
  readonly ended: AbortSignal;
  /** Asked once a second. False when whoever looks may look no longer. */
  readonly permitted: () => boolean;
  /** Tells for how long a connection took nothing: it never goes back. */
  readonly steady: () => number;
}

/** A connection that takes nothing for so long is gone, though its end was never heard of. */
const STUCK_MS = 30_000;

/** One connection of server-sent events. Returns when it is over. */
async function stream({ response, feed, ...options }: LiveStreamOptions): Promise<void> {
  const { lastEventId, ended, permitted, steady } = options;
  response.writeHead(200, {
    ...ANSWER_HEADERS,
    'content-type': 'text/event-stream; charset=utf-8',
    // A proxy that gathers answers before it passes them on would hold events back.
    'x-accel-buffering': 'no',
  });
  const end = (): void => void response.end();
  let stuckSinceMs: number | undefined;
  const ready = (): boolean => !response.writableNeedDrain && !response.writableEnded;
  const leave = feed.join(
    {
      ready,
      permitted: () => {
        stuckSinceMs = ready() ? undefined : (stuckSinceMs ?? steady());
        if (stuckSinceMs !== undefined && steady() - stuckSinceMs >= STUCK_MS) response.destroy();
        else if (permitted()) return true;
        else end();
        return false;
      },
      write: (text) => void response.write(text),
      end,
    },
    lastEventId,
  );
  ended.addEventListener('abort', end, { once: true });
  await new Promise<void>((resolve) => {
    if (response.closed) resolve();
    else response.once('close', resolve);
  });
  ended.removeEventListener('abort', end);
  leave();
}
