/**
 * The last step of a flow, to the program on this host: from the caller's own address, so that the program can tell its
 * callers apart, and never from 127.0.0.1, which programs trust. Asks for a Permit: nobody gets here without a verdict.
 */
import { includesPort, isPortless, isShortage, type Permit } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import { connectSocket } from '../bytes/socket.ts';
import { systemWords } from '../bytes/system-words.ts';
import type { AgentService } from '../config/agent-file.ts';
import { type Caller, runsHere } from '../flows/judge.ts';
import type { Conduit, DatagramConduit } from '../words/conduit.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { Opened, Refusal } from '../words/opening.ts';
import type { Problems } from '../words/problems.ts';
import {
  isLoopback,
  SourcePorts,
  systemPorts,
  type TargetAddress,
  takesCallerAddress,
  targetsOf,
} from './addresses.ts';
import type { Inside } from './inside.ts';
import { connectDatagrams, FlowsToTargets, type HeldDatagrams } from './target-datagrams.ts';
import { type LocalTargets, otherKey } from './target-watch.ts';
import { anothers, type Place, REFUSED, RefusedDatagrams, sayTarget } from './wrong-target.ts';

export interface TargetDialer {
  stream(permit: Permit, caller: Caller, deadline: Deadline): Promise<Opened<Conduit>>;
  /** `refused` is told, before the conduit closes, when the program turns out not to take datagrams. */
  datagrams(
    permit: Permit,
    caller: Caller,
    deadline: Deadline,
    refused: (detail: string) => void,
  ): Promise<Opened<DatagramConduit>>;
}

export interface DialerOptions {
  readonly netmap: NetmapSource;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  /** Whether a program is known to be there: where datagrams go must be known before, for the first is sent into silence. And whether it is another user's. */
  readonly watched: Pick<LocalTargets, 'answers' | 'other' | 'others' | 'onChange'>;
  readonly files: OpenFiles;
  readonly held: Pick<HeldDatagrams, 'makeRoom'>;
  readonly problems: Problems;
  /** Programs in sandboxes, which are called first. */
  readonly inside?: Inside;
}

/** Of a caller that cannot be given its own. */
const NO_ADDRESS = `the caller's address does not fit into this agent's --vip-range`;

/** Why a program cannot be called from that address. */
function noPort(address: string, cause: unknown): string {
  return (
    `${systemWords(cause)}: it cannot be called from ${address}, its caller's address here, which has no port left, or is none of this host; ` +
    `see which connections of that caller stay open (ss -tan src ${address}), or widen net.ipv4.ip_local_port_range`
  );
}

export function createDialer({
  netmap,
  services,
  watched,
  files,
  held,
  problems,
  inside,
}: DialerOptions): TargetDialer {
  const ports = new SourcePorts(systemPorts());
  const nobodyThere = new RefusedDatagrams(problems);
  const conversations = new FlowsToTargets();
  watched.onChange(() => conversations.end(watched.others));

  /** Once more, when a UDP flow that nobody uses could leave its file to this one. */
  async function connectWithRoom<C>(connect: () => Promise<C>, service: string): Promise<C> {
    try {
      return await connect();
    } catch (cause) {
      if (!isShortage(cause) || !held.makeRoom(service)) throw cause;
      files.ranOut();
      return await connect();
    }
  }

  /** By the file of now. */
  function isMeant({ service, port, protocol, target }: Place): boolean {
    const here = services.get(service);
    if (here === undefined) return false;
    return targetsOf(here, port, protocol).some(({ host, port: at }) => host === target.host && at === target.port);
  }

  /** Tries each target in turn. Throws only the deadline's reason. */
  async function dial<C>(
    permit: Permit,
    caller: Caller,
    deadline: Deadline,
    connect: (target: TargetAddress, localAddress: string | undefined) => Promise<C>,
    enter: (inside: Inside, localAddress: string) => Promise<C>,
  ): Promise<Opened<C>> {
    const { service, port, protocol } = permit.destination;
    const refuse = (code: Refusal['code'], detail: string): Opened<C> => {
      return { opened: false, refusal: { code, rule: '', revision: permit.revision, detail } };
    };
    const here = services.get(service.name);
    if (here === undefined || runsHere(netmap.current, services, service.name) === undefined) {
      return refuse('no-instance', `${service.name} does not run on this host`);
    }
    if (inside?.listens(service.name, port, protocol) === true) {
      if (caller.address === undefined) return refuse('overloaded', NO_ADDRESS);
      try {
        return { opened: true, conduit: await enter(inside, caller.address) };
      } catch (cause) {
        deadline.throwIfOver();
        if (isShortage(cause)) files.ranOut();
        const code = isShortage(cause) || isPortless(cause) ? 'overloaded' : 'not-listening';
        const why = isPortless(cause) ? noPort(caller.address, cause) : systemWords(cause);
        return refuse(code, `the program of ${service.name} in a sandbox, at port ${port}/${protocol}: ${why}`);
      }
    }
    if (here.shutIn === true)
      return refuse('not-listening', `no program of ${service.name} in a sandbox listens at port ${port}/${protocol}`);
    // Any port may be permitted where its programs' own are published; those of other programs of this host are not.
    if (!includesPort(service.ports, port, protocol))
      return refuse(
        'not-listening',
        `no program of ${service.name} in a sandbox listens at port ${port}/${protocol}, and the mesh declares none`,
      );
    let detail = '';
    const targets: TargetAddress[] = [];
    for (const target of targetsOf(here, port, protocol)) {
      const other = watched.others.size === 0 ? undefined : watched.other(service.name, target, protocol);
      if (other === undefined) targets.push(target);
      else if (detail === '') detail = sayTarget({ service: service.name, port, protocol, target }, anothers(other));
    }
    const known = targets.filter((target) => protocol === 'udp' && watched.answers(target, protocol));
    for (const target of known.length > 0 ? known : targets) {
      const localAddress = takesCallerAddress(target.host) ? caller.address : undefined;
      if (localAddress === undefined && takesCallerAddress(target.host)) {
        return refuse('overloaded', NO_ADDRESS);
      }
      try {
        return { opened: true, conduit: await connectWithRoom(() => connect(target, localAddress), service.name) };
      } catch (cause) {
        deadline.throwIfOver();
        if (isShortage(cause)) files.ranOut();
        const portless = localAddress !== undefined && isPortless(cause) ? noPort(localAddress, cause) : undefined;
        if (isShortage(cause) || portless !== undefined) {
          const why = portless ?? systemWords(cause);
          return refuse('overloaded', sayTarget({ service: service.name, port, protocol, target }, why));
        }
        // The first target is the one that is meant; 127.0.0.1 says more than the ::1 that nobody configured.
        if (detail === '') detail = sayTarget({ service: service.name, port, protocol, target }, systemWords(cause));
      }
    }
    return refuse('not-listening', detail);
  }

  /** `refuse` is told why before the conduit closes. Throws also where another user has the place by now. */
  async function converse(
    place: Place,
    localAddress: string | undefined,
    deadline: Deadline,
    refuse: (why: string) => void,
  ): Promise<DatagramConduit> {
    const { service, target, protocol } = place;
    const key = otherKey(service, target, protocol);
    const end = (user: string) => {
      refuse(anothers(user));
      conduit.close();
    };
    const conduit = await connectDatagrams(
      target,
      localAddress,
      deadline,
      files,
      () => {
        // The kernel's table tells of the others; and of a target that a changed file has no more, nobody need hear.
        if (!isLoopback(target.host) && isMeant(place)) nobodyThere.met(place);
        refuse(REFUSED);
      },
      () => conversations.remove(key, end),
    );
    const other = watched.others.get(key);
    if (other === undefined) {
      conversations.add(key, end);
      return conduit;
    }
    conduit.close();
    throw new Error(anothers(other));
  }

  return {
    stream: (permit, caller, deadline) =>
      dial<Conduit>(
        permit,
        caller,
        deadline,
        async (target, localAddress) => {
          const to = { ...target, deadline, files, keepsUrgent: true };
          if (localAddress === undefined) return (await connectSocket(to)).conduit;
          return await ports.connect({ ...to, localAddress });
        },
        (programs, from) => programs.stream(permit.destination.service.name, permit.destination.port, from, deadline),
      ),
    datagrams: (permit, caller, deadline, refused) =>
      dial(
        permit,
        caller,
        deadline,
        (target, localAddress) => {
          const { service, port, protocol } = permit.destination;
          const place = { service: service.name, port, protocol, target };
          return converse(place, localAddress, deadline, (why) => refused(sayTarget(place, why)));
        },
        (programs, from) => {
          const { service, port } = permit.destination;
          const gone = () => refused(`no program of ${service.name} in a sandbox takes datagrams at port ${port}`);
          return programs.datagrams(service.name, port, from, deadline, gone);
        },
      ),
  };
}
