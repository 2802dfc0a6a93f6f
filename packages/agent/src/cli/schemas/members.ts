/** Answers about tokens, hosts and services. */
import {
  AGENT_ROLE_WORDS,
  type InstanceReport,
  KINDS,
  type PairTraffic,
  type PeerTunnels,
  PLACE_OUTCOMES,
  type PlaceTry,
  PROTOCOLS,
  type Report,
  type ReportedExposure,
  type ReportedSandbox,
  RIGHT_SOURCES,
  type Service,
  type Telemetry,
} from '@weft/proto';
import { z } from 'zod';
import {
  bytes,
  count,
  fieldProblem,
  flag,
  list,
  port,
  ports,
  protocol,
  revision,
  spanMs,
  spanUs,
  takenUp,
  text,
  texts,
  timeMs,
  told,
} from './form.ts';
import { changes, hostReach } from './mesh.ts';

/** What the agent and control tell alike of an exposed place; each says of itself whose guard closes it. */
export const exposedPlace = {
  service: text,
  protocol: z.enum(PROTOCOLS),
  address: text.describe('0.0.0.0 for all of IPv4, :: for all of IPv6'),
  port,
  program: text.describe('that listens beside the targets; empty at a target, and where it may not be seen'),
} as const;

const roles = list(z.enum([...AGENT_ROLE_WORDS]));
const tokenId = text.describe('identifier of a token, which is no secret');

export const tokenCreate = told({
  token: text.describe('the secret: who has it may join'),
  tokenId,
  expiresMs: timeMs,
  networkCreated: flag.describe('the network was not there before'),
  warnings: list(fieldProblem),
});

export const tokenList = told({
  tokens: list(
    told({
      tokenId,
      services: texts.describe('what a host may run with it'),
      host: text.describe('the one host that it is good for; empty for any'),
      roles,
      reusable: flag,
      ephemeral: flag,
      createdMs: timeMs,
      expiresMs: timeMs,
      endedMs: timeMs.describe('since when nobody new can join with it; 0: somebody can'),
      uses: count,
      revoked: flag,
      replacedBy: text.describe('identifier of the token in its place; empty: none'),
    }),
  ),
});

export const tokenReplace = told({
  token: text.describe('the secret: who has it may join'),
  tokenId,
  expiresMs: timeMs,
  replaced: text.describe('identifier of the token that admits nobody any more'),
  revision,
  hosts: texts.describe('members that hang on the new one'),
  ...takenUp,
});

const narrowed = texts.describe(
  'members to which it, or one of the tokens, had only added, and that go on without what nothing else gives them',
);

const madeEphemeral = texts.describe(
  'of narrowed, those that were to stay by that alone: control forgets them from now on when they are away',
);

export const tokenRevoke = told({
  tokenId,
  revision: revision.describe('that ended it; 0 where it was revoked already'),
  already: flag.describe('it was revoked before, and nothing was changed'),
  hosts: texts.describe('members that it ended'),
  narrowed,
  madeEphemeral,
  ...takenUp,
});

export const grant = told({
  host: text,
  revision,
  granted: texts.describe('what it may run by its tokens and grants: services, kind:KIND or *'),
  changes,
  hostReach,
  warnings: list(fieldProblem),
  ...takenUp,
});

export const revoke = told({
  agentId: text,
  revision,
  hosts: texts.describe('with --with-token, all members that it ended'),
  narrowed,
  madeEphemeral,
  admittingToken: text.describe('the first of admittingTokens; empty when there is none'),
  admittingTokens: texts.describe('tokens that it joined with, with which others can still join'),
  joinedAlike: texts.describe('other hosts that one of these made members, and that go on'),
  addedAlike: texts.describe('other hosts to which one of these only added'),
  ...takenUp,
});

export const agentsRename = told({
  agentId: text,
  host: text.describe('its name from now on'),
  formerHost: text,
  revision,
  leftOver: texts.describe('what the mesh still says of the former name'),
  ...takenUp,
});

const opened = ports.describe('ports beside the declared ones that its programs in sandboxes listen on');

export const services = told({
  services: list(
    told({
      service: told({
        name: text,
        kind: z.enum(KINDS),
        ports: ports.describe('as the mesh file writes them; auto: also those that its programs in sandboxes open'),
        description: text.optional(),
        public: told({ port, hosts: texts, responseTimeoutMs: spanMs.optional() }).optional(),
        tags: texts,
      } satisfies Record<Exclude<keyof Service, 'autoPorts'>, z.ZodType>),
      vip: text.describe('empty for a worker'),
      instances: list(
        told({
          ...{ ordinal: count, host: text, address: text, healthy: flag, notListening: ports, opened },
          away: flag
            .nullable()
            .describe(
              'its agent is not connected to control; null: the agent of a host was asked, which is not told. False also where control is of a version before this field',
            ),
        }),
      ),
    }),
  ),
});

export const instanceReport = told({ service: text, healthy: flag, notListening: ports, opened } satisfies Record<
  keyof InstanceReport,
  z.ZodType
>);

export const problems = list(
  told({ code: text.describe('as docs/OPERATING.md has it'), subject: text, message: text }),
);

export const peer = told({
  host: text,
  tunnels: count,
  roundTripUs: spanUs.describe('microseconds; 0: not measured'),
  bytesSent: bytes,
  bytesReceived: bytes,
  pathSize: bytes.describe('of UDP that the path has shown to carry; 0: datagrams go inside tunnels'),
} satisfies Record<keyof PeerTunnels, z.ZodType>);

const pair = told({
  source: text.describe('a service, host:NAME or internet'),
  sourceHost: text,
  service: text,
  destinationHost: text.describe('empty when no instance was reached'),
  open: count,
  opened: count,
  denied: count,
  failed: count,
  bytesSent: bytes,
  bytesReceived: bytes,
  lastDenied: told({ port, protocol, rule: text, revision }).optional(),
} satisfies Record<keyof PairTraffic, z.ZodType>);

export const agents = told({
  agents: list(
    told({
      agentId: text,
      host: text,
      connected: flag,
      lastSeenMs: timeMs,
      enforcedRevision: revision,
      kept: flag.describe('false: it cannot write what it enforces to its disk'),
      version: text,
      capability: count.describe('what its version understands; 0: not known'),
      services: texts.describe('what it may run'),
      roles,
      ephemeral: flag,
      tags: texts,
      tokenId,
      rights: list(
        told({
          source: z.enum(RIGHT_SOURCES),
          tokenId: text.describe('with source token; empty otherwise'),
          services: texts.describe('as they were said: services, kind:KIND or *'),
          roles,
          sinceMs: timeMs.describe('when it joined with the token, or was granted something last; 0: not known'),
        }),
      ).describe('by what it may run what it may: its tokens, the first made it a member; grants; the mesh file'),
      address: text.describe('its own in the range of VIPs'),
      fingerprint: text,
      behindMs: spanMs.describe('milliseconds since it could have enforced the newest revision; 0: it does'),
      observedHost: text.describe(
        'where control sees it come from, a hint: a proxy or NAT may stand there in its place',
      ),
      addressHint: text.describe('why that cannot be where it says that it is; empty where both may be so'),
      clockSkewMs: z.int().describe('milliseconds that its clock is ahead of that of control'),
      telemetry: told({
        sentMs: timeMs,
        intervalMs: spanMs.describe('milliseconds that the counts are of'),
        pairs: list(pair).describe('who called whom'),
        pairsOmitted: count,
        peers: list(peer),
        loopDelayUs: spanUs,
        flowsQueued: count.describe('flow records that wait to be sent'),
        recordsLost: count.describe('flow records that it lost since it started, for want of room'),
      } satisfies Record<keyof Telemetry, z.ZodType>)
        .nullable()
        .describe('null: it has told nothing yet'),
      report: told({
        endpoints: texts.describe('where other agents reach it'),
        tunnelPort: port,
        instances: list(instanceReport),
        gatewayAddress: text.describe('empty when it is no gateway'),
        problems,
        tunnels: count,
        flows: count.describe('open ones'),
        listeners: count.describe('ports that it can listen on at once; 0: no limit is known'),
        sandboxes: list(
          told({
            service: text,
            user: text,
            pid: count.describe('of its supervisor'),
            unit: text.describe('the systemd unit that its supervisor is in; empty for none'),
            sinceMs: timeMs,
            ports: ports.describe('that it serves'),
            egress: flag.describe('whether it may reach places out of the mesh'),
          } satisfies Record<keyof ReportedSandbox, z.ZodType>),
        ).describe('programs that are shut in there'),
        toldApart: texts.describe('services whose processes it tells from others'),
        othersAsHost: flag.describe('whether a program that is known to be of no service there speaks as the host'),
        exposed: list(
          told({
            ...exposedPlace,
            closed: flag.describe('whether the guard there closes it'),
            tries: list(
              told({
                host: text.describe('that tried'),
                address: text,
                port,
                protocol: z.enum(PROTOCOLS),
                outcome: z
                  .enum(PLACE_OUTCOMES)
                  .describe('silent: a firewall drops it; untold: nobody can tell, as of UDP'),
                timeMs,
              } satisfies Record<keyof PlaceTry, z.ZodType>),
            ),
          } satisfies Record<keyof ReportedExposure, z.ZodType>),
        ).describe('where others may reach programs of services there past Weft'),
        triedByPeers: flag.describe('whether other hosts try those places'),
        sight: text.optional().describe('of whom it can tell more than the user: all, groups, units, or own'),
        sockets: text.optional().describe('how it finds the sockets of callers: kernel or tables'),
      } satisfies Record<keyof Report, z.ZodType>)
        .nullable()
        .describe('null: it has told nothing yet'),
    }),
  ),
});
