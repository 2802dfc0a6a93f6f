/** Answers of the agent of a host, and of control about itself. */
import { PROTOCOLS } from '@weft/proto';
import { z } from 'zod';
import type { FileChange } from '../../config/file-changes.ts';
import type { EgressCounts } from '../../egress/egress.ts';
import type { ExposedPlace } from '../../inbound/exposure.ts';
import type {
  AgentStatus,
  NameStatus,
  TargetStatus,
  UnreachableStatus,
  WorkerStatus,
} from '../../observe/agent-status.ts';
import type { Outlook } from '../../owner/outlook.ts';
import type { SandboxStatus } from '../../sandbox/sandboxes.ts';
import { AREAS, type Finding, RESULTS } from '../check/finding.ts';
import { ended } from './flows.ts';
import { bytes, count, flag, list, port, ports, revision, spanUs, text, texts, timeMs, told } from './form.ts';
import { exposedPlace, peer, problems } from './members.ts';

const instance = told({
  service: text,
  healthy: flag,
  notListening: list(told({ protocol: z.enum(PROTOCOLS), first: port, last: port })),
  opened: list(told({ protocol: z.enum(PROTOCOLS), first: port, last: port })).optional(),
});

const name = told({
  name: text.describe('such as redis.internal'),
  kind: z.enum(['web', 'private']),
  address: text.nullable().describe("null: the agent's range is too small for it"),
  ports,
  opened: ports
    .optional()
    .describe('those of them that programs opened; left out where the mesh does not publish these (ports: auto)'),
  instances: count,
  healthy: count,
} satisfies Record<keyof NameStatus, z.ZodType>);

const target = told({
  service: text,
  port,
  protocol: z.enum([...PROTOCOLS, 'any']),
  targetPort: port,
} satisfies Record<keyof TargetStatus, z.ZodType>);

const unreachable = told({
  host: text,
  addresses: texts,
  since: text.describe('ISO 8601'),
  cause: text.describe('what came of the last try'),
  runs: texts.optional().describe('services that may be called there; none: nothing fails by it'),
  heard: flag.nullable().optional().describe('whether control hears it; false: it is off; null: not known'),
} satisfies Record<keyof UnreachableStatus, z.ZodType>);

const worker = told({
  flows: told({ open: count, recorded: count }),
  tunnel: told({ open: count, bytesSent: bytes, bytesReceived: bytes }),
} satisfies Record<keyof WorkerStatus, z.ZodType>);

const sandbox = told({
  service: text,
  user: text,
  pid: count.describe('of its supervisor'),
  unit: text.describe('the systemd unit that its supervisor is in; empty for none'),
  ports: list(told({ protocol: z.enum(PROTOCOLS), first: port, last: port })).describe('that it serves'),
  since: text.describe('ISO 8601'),
  egress: told({
    streams: count.describe('connections'),
    pairs: count.describe('UDP flows'),
  } satisfies Record<keyof EgressCounts, z.ZodType>)
    .optional()
    .describe('open out of the mesh; left out where it reaches nothing there'),
} satisfies Record<keyof SandboxStatus, z.ZodType>);

const agent = told({
  version: text,
  startedMs: timeMs,
  network: text,
  host: text,
  agentId: text,
  fingerprint: text,
  state: z.enum(['connected', 'stale', 'revoked']),
  staleSince: text.nullable().describe('ISO 8601; null while control is heard'),
  control: told({
    address: text.describe('where it was heard last; empty when not since the start'),
    addresses: texts,
    cause: text.describe('why it is not heard; empty while it is'),
  }),
  revision: revision.describe('of the mesh that is enforced'),
  dns: text,
  names: list(name),
  instances: list(instance),
  targets: list(target).optional(),
  listeners: told({ ports: count }),
  tunnel: told({
    address: text,
    endpoints: texts,
    open: count,
    handshakesFailed: count,
    violations: count,
    datagramsDropped: count,
    bytesSent: bytes,
    bytesReceived: bytes,
    peers: list(peer),
    unreachable: list(unreachable).optional(),
  }),
  gateway: text.describe('where it listens; empty when it is none'),
  flows: told({ open: count, recorded: count, dropped: count, recent: list(ended) }),
  workers: list(worker),
  sandboxes: list(sandbox).optional().describe('programs that are shut in here'),
  callers: told({
    sight: z
      .enum(['all', 'groups', 'units', 'own'])
      .describe(
        'of all processes what they are; or of its own user only, and of others the user, unit or control group of their sockets',
      ),
    sockets: z
      .enum(['kernel', 'tables'])
      .describe('whether the kernel is asked for single sockets, or its tables are read'),
    missing: texts.describe('capabilities that would let it look into all processes'),
  } satisfies Record<keyof Outlook, z.ZodType>)
    .optional()
    .describe('what it can know of the programs that call'),
  second: told({
    state: z
      .enum(['off', 'starting', 'on', 'leaving'])
      .describe('off: it begins when bulk moves; leaving: it takes no more connections, and ends with its last flow'),
    cause: text.describe('why the last could not begin, or that it ended unasked; empty where nothing kept it'),
  } satisfies Record<keyof NonNullable<AgentStatus['second']>, z.ZodType>)
    .optional()
    .describe(
      'the thread that takes new connections while bulk moves on the first; left out with --workers, and where the system or Node passes no connections',
    ),
  native: told({
    used: flag.describe('whether many datagrams go and come by one call of the system'),
    cause: text.describe('why not; empty where they do'),
  } satisfies Record<keyof NonNullable<AgentStatus['native']>, z.ZodType>).optional(),
  sealing: told({
    inPlace: flag.describe('whether bulk is sealed in place, by OpenSSL past node:crypto'),
    cause: text.describe('why not; empty where it is'),
  } satisfies Record<keyof NonNullable<AgentStatus['sealing']>, z.ZodType>).optional(),
  problems,
  exposed: list(
    told({
      ...exposedPlace,
      closed: flag.describe('whether the guard closes it'),
    } satisfies Record<keyof ExposedPlace, z.ZodType>),
  )
    .optional()
    .describe('where others reach programs of services past Weft'),
  exposedUnknown: count.optional().describe('sockets beyond loopback of which the agent may not see whose they are'),
  hints: texts.describe('what else is worth a look, in words'),
} satisfies Record<keyof AgentStatus | 'hints', z.ZodType>);

const control = z.union([
  told({ address: text, reachable: z.literal(false), error: text }),
  told({
    address: text,
    reachable: z.literal(true),
    version: text,
    capability: count,
    startedMs: timeMs,
    clockAheadMs: z
      .int()
      .nullable()
      .describe('milliseconds that its clock is ahead of that of who asks; null: it does not tell'),
    olderData: told({ revision, hosts: texts, sinceMs: timeMs }).nullable(),
    acceptsOlderData: flag,
    problems: list(told({ code: text, message: text, sinceMs: timeMs })),
    networks: list(
      told({
        network: text,
        revision,
        services: count,
        agents: count,
        connected: count,
        behind: texts.describe('hosts that do not enforce the newest revision, the first of them'),
        behindCount: count,
        flowsDropped: count,
      }),
    ),
  }),
]);

export const status = told({
  agent: agent.nullable().describe('null: none runs here, or it is not known'),
  unread: text
    .nullable()
    .describe('why the agent that may run here could not be asked, and what to do; null: it was asked, or none runs'),
  missing: told({ host: text, network: text })
    .nullable()
    .describe('as what no agent runs here, which this host is a member for; null: one runs, or none is missed'),
  control: control.nullable().describe('null: it was not asked, for want of an admin token'),
});

export const check = told({
  network: text.describe('empty where none was joined'),
  host: text,
  broken: count.describe('of the findings'),
  findings: list(
    told({
      area: z.enum(AREAS),
      subject: text.describe('what of it, such as an address; empty where there is but one'),
      result: z.enum(RESULTS).describe('hint: it works and might not; unknown: it could not be looked at'),
      message: text,
      remedy: text.describe('what to do; empty where there is nothing to do'),
    } satisfies Record<keyof Finding, z.ZodType>),
  ),
});

export const ping = told({
  host: text,
  sent: count,
  answered: count,
  minUs: spanUs.nullable(),
  avgUs: spanUs.nullable(),
  maxUs: spanUs.nullable(),
  address: text,
  dialled: flag.nullable().describe('whether this host made the tunnel; null: there is none'),
  pathSize: bytes.describe('of UDP that passes beside the tunnel; 0: none does'),
  pings: list(told({ roundTripUs: spanUs.nullable(), unreachable: text.describe('why not; empty when answered') })),
});

export const reload = told({
  file: text,
  changes: list(
    told({
      key: text.describe('as it stands in the file, such as services.redis.targets.6379'),
      before: text.nullable().describe('null: it was not there'),
      after: text.nullable().describe('null: it is not there any more'),
      overriddenBy: text.optional().describe('option of weft up that keeps it from having effect'),
    } satisfies Record<keyof FileChange, z.ZodType>),
  ),
  problems,
});

export const forward = told({
  forwards: list(
    told({
      service: text,
      port,
      protocol: z.enum(PROTOCOLS),
      listening: list(told({ address: text, port })),
    }),
  ),
});

export const env = told({
  variables: z.record(z.string(), z.string()).describe('as a program takes them from its environment'),
});

export const guardStatus = told({
  state: z
    .enum(['on', 'off', 'missing', 'stale', 'left-over', 'of-another'])
    .describe(
      'missing, stale: it is on, and its table is not there, or not as it should be; left-over: it is off, and its table still stands',
    ),
  kept: flag.describe('whether something follows changes and puts the table back'),
  dropped: count.describe('packets, since the table was made'),
  range: text.describe('that other hosts have no part in; empty where no agent says'),
  places: list(
    told({
      service: text,
      protocol: z.enum(PROTOCOLS),
      address: text.describe('0.0.0.0 for all of IPv4, :: for all of IPv6'),
      port,
    }),
  ).describe('that are closed, or should be'),
});
