/** Which of this host's services are well: looked up each second, told to control and to the VIP listeners when it changes. */
import {
  countPorts,
  eachPort,
  firstPorts,
  formatHostPort,
  type InstanceReport,
  includesPort,
  isOnThisHost,
  MAX_OPENED_PORTS,
  mergePorts,
  type PortRange,
  type Protocol,
  type Service,
  unitedPorts,
} from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { runsHere } from '../flows/judge.ts';
import type { NetmapSource } from '../words/netmap.ts';
import { type Problems, passing } from '../words/problems.ts';
import { isLoopback, type TargetAddress, takesCallerAddress, targetsOf, writtenListening } from './addresses.ts';
import { AutoPorts, type PublishedPorts } from './auto-ports.ts';
import { type ExposedTarget, Exposure, exposedTarget } from './exposure.ts';
import { FirstUsers, type Listening } from './first-users.ts';
import type { Inside } from './inside.ts';
import { type ListenerTable, readListenerTable, type TableReader } from './listener-table.ts';
import { Probes } from './probes.ts';
import { SeenWildcards } from './seen-wildcards.ts';
import { anothers, REFUSED, type WrongTarget, WrongTargets } from './wrong-target.ts';

/**
 * How a port stands with this host's own programs. `free`: none of a service here is on it. `specific`: one listens on its own
 * address, so other addresses may be bound. `wildcard`: it has the port on every address. `awaited`: it does not listen, and
 * had the port on every address when it was last seen, or has it so by the agent file.
 */
export type PortUse = 'free' | 'specific' | 'wildcard' | 'awaited';

/** What is known of this host's own programs, by looking or by being told. */
export interface LocalTargets {
  /** Whether the service's program here listens on the declared port, as far as can be told. */
  listening(service: string, port: number, protocol: Protocol): boolean;
  /** Whether a program is there. */
  answers(target: TargetAddress, protocol: Protocol): boolean;
  /** Name of a user who listens there for the service, and is another than the agent file's `match` names: no call goes there. */
  other(service: string, target: TargetAddress, protocol: Protocol): string | undefined;
  /** All of them by `otherKey`: there are none, most of the time. */
  readonly others: ReadonlyMap<string, string>;
  /** Called when these may have changed. */
  onChange(listener: () => void): void;
}

export interface TargetWatchOptions {
  readonly netmap: NetmapSource;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly problems: Problems;
  readonly signal: AbortSignal;
  /** Programs in sandboxes. */
  readonly inside?: Pick<Inside, 'listens' | 'opened' | 'serves' | 'onChange'>;
  readonly intervalMs?: number;
  /** Forgotten with the watch unless given. */
  readonly wildcards?: SeenWildcards;
  /** Told of what others reach; one of its own where left out. */
  readonly exposure?: Exposure;
  /** Monotonic, milliseconds. */
  readonly now?: () => number;
  /** Undefined where the kernel tells nothing; then every target is probed. Rejects when it could not be asked. */
  readonly readTable?: TableReader;
}

/**
 * Where the agent file says that a program listens on one address and it was seen on every address since, its port is left free
 * for so long after it ends: it is likely to start again as it was, and would not be able to.
 */
const CONTRADICTED_MS = 10_000;

/** Of the time that a look took, and at most: anybody on the host may have so many sockets that a look each second would be all that is done. */
const REST = { times: 4, mostMs: 10_000 };

export class TargetWatch implements LocalTargets {
  readonly #options: TargetWatchOptions;
  readonly #readTable: TableReader;
  readonly #wildcards: SeenWildcards;
  readonly #probes = new Probes();
  readonly #listeners: (() => void)[] = [];
  /** Subjects of standing caller-address problems. */
  #addressless = new Set<string>();
  readonly #unseen: () => void;
  #table: ListenerTable | undefined;
  #lookedMs = 0;
  #reports: readonly InstanceReport[] = [];
  /** Targets of services here that answered at the last look; the key is such as `tcp 127.0.0.1:6379`. */
  #answering: ReadonlySet<string> = new Set();
  /** Of the loopback ports where programs of services here are expected; the key is such as 6379/tcp. */
  #uses: ReadonlyMap<string, PortUse> = new Map();
  readonly #firstUsers: FirstUsers;
  others: ReadonlyMap<string, string> = new Map();
  readonly #wrongTargets: WrongTargets;
  readonly #exposure: Exposure;
  #autoPorts: AutoPorts | undefined;
  /** Reports, uses, answers, wrong targets, first and other users in one text, compared to tell whether anything changed. */
  #digest = '';
  #started: boolean = false;

  constructor(options: TargetWatchOptions) {
    this.#options = options;
    this.#readTable = options.readTable ?? (() => readListenerTable());
    this.#wildcards = options.wildcards ?? new SeenWildcards();
    this.#firstUsers = new FirstUsers(options.problems);
    this.#wrongTargets = new WrongTargets(options.problems);
    this.#exposure = options.exposure ?? new Exposure(options.problems);
    this.#unseen = passing(options.problems, {
      code: 'no-look',
      subject: 'listeners',
      message:
        "which programs listen on this host cannot be looked up in the kernel's tables (/proc/net/tcp and the like), so their " +
        'health is told as it was last; see to what else is told of this host, such as too few files, or to who may read them',
    });
    // The table stays as it is; which services count is what the netmap changes.
    options.netmap.subscribe('targets', () => {
      if (this.#started) this.#evaluate();
    });
    options.inside?.onChange(() => {
      if (this.#started) this.#evaluate();
    });
  }

  /** Resolves after the first look; then again each second, or later where a look takes long, until the signal is aborted. */
  async start(): Promise<void> {
    await this.refresh();
    const { signal, intervalMs = 1_000 } = this.#options;
    const again = (tookMs: number) => {
      if (signal.aborted) return;
      // The next look is timed from the end of this one, so that a slow host is not asked twice at once.
      const waitMs = Math.max(intervalMs, Math.min(REST.times * tookMs, REST.mostMs));
      setTimeout(() => {
        const beganMs = performance.now();
        const next = () => again(performance.now() - beganMs);
        this.refresh().then(next, next);
      }, waitMs).unref();
    };
    again(0);
  }

  /** Looks now. */
  async refresh(): Promise<void> {
    try {
      const table = await this.#readTable(this.#uses);
      if ((table?.tables ?? 0) < (this.#table?.tables ?? 0)) throw new Error('what was shown is shown no more');
      this.#table = table;
      this.#lookedMs = (this.#options.now ?? performance.now.bind(performance))();
    } catch {
      // A look that could not be made is no look: a program that runs must not be called gone for it.
      this.#unseen();
    }
    // Before the first good one, programs are asked, as where the kernel shows no table.
    this.#started = true;
    this.#evaluate();
    void this.#probes.run(this.#options.signal).then(() => {
      if (!this.#options.signal.aborted) this.#evaluate();
    });
  }

  /** One entry for each service that runs here, by name. */
  report(): readonly InstanceReport[] {
    return this.#reports;
  }

  /** The targets of services here that answered at the last look: for those who are told, and do not look themselves. */
  get answering(): ReadonlySet<string> {
    return this.#answering;
  }

  /** By service without `match`, the user who was seen first to listen for it. Another map where it has changed. */
  get firstUsers(): ReadonlyMap<string, number> {
    return this.#firstUsers.all;
  }

  other(service: string, target: TargetAddress, protocol: Protocol): string | undefined {
    return this.others.get(otherKey(service, target, protocol));
  }

  /** Called when a report, an answering target, the use of a port, a first user, or where another's program is not called changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  listening(service: string, port: number, protocol: Protocol): boolean {
    if (this.inSandbox(service, port, protocol)) return true;
    const { netmap, services } = this.#options;
    const known = netmap.current.services.get(service)?.service;
    // What its other hosts published is no word on this host's programs.
    if (known !== undefined && !includesPort(known.ports, port, protocol)) return false;
    return listensHere(services.get(service), port, protocol, this);
  }

  /** Whether one of its programs in sandboxes does. */
  inSandbox(service: string, port: number, protocol: Protocol): boolean {
    return this.#options.inside?.listens(service, port, protocol) === true;
  }

  /** As it was looked up last; undefined where the kernel shows none. */
  get table(): ListenerTable | undefined {
    return this.#table;
  }

  /** Whether the agent may bind the port on addresses of its own. */
  portUse(port: number, protocol: Protocol): PortUse {
    return this.#uses.get(`${port}/${protocol}`) ?? 'free';
  }

  #running(): readonly { readonly service: Service; readonly here: AgentService }[] {
    const { netmap, services } = this.#options;
    return [...services.values()].flatMap((here) => {
      const known = runsHere(netmap.current, services, here.name);
      return known === undefined ? [] : [{ service: known.service, here }];
    });
  }

  /** By the last look. */
  answers(target: TargetAddress, protocol: Protocol): boolean {
    if (this.#table !== undefined && isLoopback(target.host))
      return this.#table.answers(protocol, target.host, target.port);
    return protocol === 'udp' || this.#probes.listening(target);
  }

  #evaluate(): void {
    const running = [...this.#running()].sort((left, right) => (left.service.name < right.service.name ? -1 : 1));
    const addressless = new Set<string>();
    const uses = new Map<string, PortUse>();
    const answered = new Set<string>();
    const wrong: WrongTarget[] = [];
    const taken: WrongTarget[] = [];
    const exposed: ExposedTarget[] = [];
    const published: PublishedPorts[] = [];
    const listening = new Map<string, Listening>();
    const others = new Map<string, string>();
    this.#firstUsers.refresh(this.#options.services);
    const { inside } = this.#options;
    this.#reports = running.map(({ service, here }): InstanceReport => {
      if (service.kind === 'worker') return { service: service.name, healthy: true, notListening: [] };
      const silent: PortRange[] = [];
      let ports = 0;
      const users: (readonly number[])[][] = [];
      for (const { port, protocol } of eachPort(service.ports)) {
        ports++;
        if (inside?.listens(service.name, port, protocol) === true) continue;
        const targets = here.shutIn === true ? [] : targetsOf(here, port, protocol);
        const found = targets.map(({ host, port: at }) => this.#table?.users(protocol, host, at) ?? []);
        users.push(found);
        const theirs: TargetAddress[] = [];
        for (const [at, target] of targets.entries()) {
          const other = this.#firstUsers.otherThanMatched(here, found[at] ?? []);
          if (other === undefined) {
            theirs.push(target);
            continue;
          }
          // Of each port one is told.
          if (theirs.length === at)
            taken.push({ service: service.name, port, protocol, target, cause: anothers(other), instead: '', other });
          others.set(otherKey(service.name, target, protocol), other);
        }
        const answering = theirs.find((target) => this.answers(target, protocol));
        for (const target of targets) {
          // Of TCP targets the first is enough to know, and no other is probed for it.
          if (target === answering || (protocol === 'udp' && this.answers(target, protocol)))
            answered.add(targetKey(target, protocol));
        }
        if (answering === undefined) {
          silent.push({ protocol, first: port, last: port });
          // Of the one that is meant, unless that is told as another's.
          const [meant] = targets;
          if (meant !== undefined && meant === theirs[0]) wrong.push(...this.#wrong(here, port, protocol, meant));
        }
        for (const target of targets) exposed.push(...this.#exposed(service.name, target, protocol));
        const likely = answering ?? targets[0];
        if (likely !== undefined && !takesCallerAddress(likely.host)) {
          addressless.add(this.#raiseAddressless(service.name, port, protocol, likely));
        }
        this.#noteUse(uses, targets, protocol, writtenListening(here, port, protocol));
      }
      listening.set(service.name, users);
      const opened = service.autoPorts === true ? (inside?.opened(service.name, service.ports) ?? []) : [];
      if (service.autoPorts === true) {
        const outside = here.shutIn !== true && inside?.serves(service.name) !== true;
        const { instances = [] } = this.#options.netmap.current.services.get(service.name) ?? {};
        const everywhere = countPorts(unitedPorts(instances.flatMap((each) => each.opened ?? [])));
        published.push({ service: service.name, outside, opened: countPorts(opened), everywhere });
      }
      const healthy = silent.length < ports || opened.length > 0;
      const report = { service: service.name, healthy, notListening: mergePorts(silent) };
      return opened.length === 0 ? report : { ...report, opened: firstPorts(opened, MAX_OPENED_PORTS) };
    });
    for (const before of this.#addressless) {
      if (!addressless.has(before)) this.#options.problems.clear('caller-address', before);
    }
    this.#addressless = addressless;
    this.#uses = uses;
    this.#answering = answered;
    this.others = others;
    // Most hosts have no such service.
    if (published.length > 0) this.#autoPorts ??= new AutoPorts(this.#options.problems);
    this.#autoPorts?.tell(published);
    this.#firstUsers.look(this.#options.services, listening);
    wrong.push(...taken);
    const digest = JSON.stringify([this.#reports, [...uses], [...answered], wrong, [...this.firstUsers], [...others]]);
    this.#exposure.tell(exposed, {
      held: (protocol, port) => (this.#table?.beyondLoopback(protocol, port).length ?? 1) > 0,
      running: new Set(running.map(({ service }) => service.name)),
    });
    if (digest === this.#digest) return;
    this.#digest = digest;
    this.#wrongTargets.tell(wrong);
    for (const listener of this.#listeners) listener();
  }

  /** None where the kernel does not tell. */
  #exposed(service: string, target: TargetAddress, protocol: Protocol): ExposedTarget[] {
    if (this.#table === undefined || !isOnThisHost(target.host)) return [];
    const found = exposedTarget(service, target, protocol, this.#table);
    return found === undefined ? [] : [found];
  }

  /** None while nobody knows yet what comes of a call there. */
  #wrong(here: AgentService, port: number, protocol: Protocol, target: TargetAddress): WrongTarget[] {
    const seen = isLoopback(target.host) ? this.#table : undefined;
    const cause = seen === undefined ? this.#probes.cause(target) : REFUSED;
    if (cause === undefined) return [];
    // To call a program of another user instead is no advice.
    const isTheirs = (host: string, at: number) =>
      this.#firstUsers.otherThanMatched(here, seen?.users(protocol, host, at) ?? []) === undefined;
    const outside = seen?.outside(protocol, target.port).find((host) => isTheirs(host, target.port));
    const isDeclared = seen?.answers(protocol, target.host, port) === true && isTheirs(target.host, port);
    const [host, there] = outside === undefined ? [isDeclared ? target.host : undefined, port] : [outside, target.port];
    const instead = host === undefined ? '' : formatHostPort(host, there);
    return [{ service: here.name, port, protocol, target, cause, instead }];
  }

  /** Without the kernel's table nobody knows what a program holds, and every port counts as free. */
  #noteUse(
    uses: Map<string, PortUse>,
    targets: readonly TargetAddress[],
    protocol: Protocol,
    word: ReturnType<typeof writtenListening>,
  ): void {
    if (this.#table === undefined) return;
    const nowMs = this.#lookedMs;
    for (const { host, port } of targets) {
      if (!isLoopback(host)) continue;
      const key = `${port}/${protocol}`;
      const wildcard = this.#table.hasWildcard(protocol, port);
      if (wildcard || this.#table.answers(protocol, host, port)) {
        uses.set(key, wildcard ? 'wildcard' : 'specific');
        this.#wildcards.note(key, wildcard, nowMs);
      } else if (word !== 'wildcard' && this.#table.outside(protocol, port).length > 0) {
        // Not where it is called, and not on every address either.
        uses.set(key, 'specific');
        this.#wildcards.note(key, false, nowMs);
      } else if (!uses.has(key)) {
        const seenMs = this.#wildcards.seenMs(key);
        const expected =
          word === 'specific' ? seenMs !== undefined && nowMs - seenMs < CONTRADICTED_MS : seenMs !== undefined;
        if (expected || word === 'wildcard') uses.set(key, 'awaited');
      }
    }
  }

  #raiseAddressless(service: string, port: number, protocol: Protocol, target: TargetAddress): string {
    const subject = `${service}:${port}/${protocol}`;
    this.#options.problems.raise({
      code: 'caller-address',
      subject,
      message:
        `callers of ${service} cannot be told apart by their address at ${formatHostPort(target.host, target.port)}, which takes none of ` +
        "this host's; let the program listen on 127.0.0.1 to have them come from their own addresses",
    });
    return subject;
  }
}

/** Whether any target of the service, if it is one of this host, answers. */
export function listensHere(
  declared: AgentService | undefined,
  port: number,
  protocol: Protocol,
  targets: Pick<LocalTargets, 'answers' | 'other'>,
): boolean {
  if (declared === undefined || declared.shutIn === true) return false;
  return targetsOf(declared, port, protocol).some(
    (target) => targets.answers(target, protocol) && targets.other(declared.name, target, protocol) === undefined,
  );
}

export function targetKey(target: TargetAddress, protocol: Protocol): string {
  return `${protocol} ${formatHostPort(target.host, target.port)}`;
}

export function otherKey(service: string, target: TargetAddress, protocol: Protocol): string {
  return `${service} ${targetKey(target, protocol)}`;
}
