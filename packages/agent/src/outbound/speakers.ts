/**
 * What a program of this host speaks as. It is looked up only where a verdict depends on that: not where all that it may be are
 * permitted, or none is, and no rule about what it calls speaks of users. Whoever cannot be told speaks as the host, and is denied what any of its services is.
 */
import { defined, eachPort, entryOf, type HostPort, listed, type Problem, userNameProblem } from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { type LocalSpeech, localCaller, localSpeech } from '../flows/judge.ts';
import { targetsOf } from '../inbound/addresses.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import type { Owners } from '../owner/owners.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { ClaimedUser, SourceClaim } from '../words/opening.ts';
import type { HiddenBy, Owner, OwnerRule } from '../words/owner.ts';
import { type Problems, passing } from '../words/problems.ts';
import type { ListenerSpec } from './listener-spec.ts';

export interface SpeakersOptions {
  readonly netmap: NetmapSource;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  /** Who was seen first to listen for a service. */
  readonly watch: Pick<TargetWatch, 'firstUsers'>;
  readonly owners: Pick<Owners, 'find' | 'follow' | 'warm' | 'left'>;
  readonly problems: Problems;
}

/** What a caller speaks as, and who it is where that was looked up. */
export interface Speaker {
  readonly claim: SourceClaim;
  readonly owner?: Owner;
  /** To be called once a stream of it is over, or was refused. */
  readonly left?: () => void;
  /** Whether it may still speak so, where more than the netmap decides that. Asked at the opening and after each change. */
  readonly holds?: (netmap: Netmap) => boolean;
}

/** What is so of every call while netmap and agent file are the same. */
interface Now {
  readonly netmap: Netmap;
  readonly speech: LocalSpeech;
  /** Of each place that was called, what a verdict there depends on. */
  readonly asks: WeakMap<ListenerSpec, Asks>;
}

interface Asks {
  readonly user: boolean;
  readonly service: boolean;
}

/** Services, and sets of them that fit one process, told of at once. */
const MOST_TOLD = 8;
/** The process that is named stays the same for so long, whoever else is met. */
const SAID_MS = 1_000;
/** Names in a sentence. */
const NAMED = 4;

export class Speakers {
  readonly #options: SpeakersOptions;
  readonly #met = new Map<string, { readonly tell: (message: string) => void; message: string; saidMs: number }>();

  #last: Now | undefined;
  #warmed: boolean = false;
  #firstUsers: ReadonlyMap<string, number> | undefined;

  constructor(options: SpeakersOptions) {
    this.#options = options;
    this.changed();
  }

  /** What a program speaks as that is not looked up. */
  get unknown(): Speaker {
    return { claim: this.#now.speech.unknown };
  }

  /** What who calls there from `client` speaks as: at once where no verdict depends on who it is. */
  of(spec: ListenerSpec, client: HostPort): Speaker | Promise<Speaker> {
    const now = this.#now;
    const asks = entryOf(now.asks, spec, () => this.#asksOf(now, spec));
    if (!asks.user && !asks.service) return { claim: now.speech.unknown };
    const called = { host: spec.address, port: spec.port };
    const owner = this.#options.owners.find({ protocol: spec.protocol, client, called });
    return owner instanceof Promise ? owner.then((told) => this.#speakerOf(told, asks)) : this.#speakerOf(owner, asks);
  }

  #speakerOf(owner: Owner, asks: Asks): Speaker {
    const claim = this.#claimOf(owner);
    const said = asks.user && claim.type !== 'internet' ? { ...claim, ...claimedUser(owner) } : claim;
    return { claim: said, owner, left: () => this.#options.owners.left(owner) };
  }

  /** Whether the sockets by which who called there from `client` was told are the only ones that it may have called from still. */
  async same(spec: ListenerSpec, client: HostPort, sockets: string): Promise<boolean> {
    const called = { host: spec.address, port: spec.port };
    const now = await this.#options.owners.find({ protocol: spec.protocol, client, called, known: sockets });
    return now.sockets === sockets;
  }

  /** The agent file, or which of its services run here. */
  changed(): void {
    this.#last = undefined;
    this.#follow();
    if (this.#warmed || !this.#mayAsk()) return;
    this.#warmed = true;
    this.#options.owners.warm();
  }

  /** Who was seen first to listen for a service. */
  usersChanged(): void {
    if (this.#options.watch.firstUsers !== this.#firstUsers) this.#follow();
  }

  #follow(): void {
    this.#firstUsers = this.#options.watch.firstUsers;
    this.#options.owners.follow(rulesOf(this.#options, this.#now.speech));
  }

  /** Whether a verdict on a call of this host depends on who makes it, by the first port of each range: another's first caller waits longer. */
  #mayAsk(): boolean {
    const now = this.#now;
    return [...now.netmap.services.values()].some(({ service: { name, kind, ports }, address = '' }) =>
      (kind === 'worker' ? [] : ports).some(({ first: port, protocol }) => {
        const asks = this.#asksOf(now, { service: name, ordinal: undefined, address, port, protocol });
        return asks.user || asks.service;
      }),
    );
  }

  get #now(): Now {
    const { services } = this.#options;
    const netmap = this.#options.netmap.current;
    if (this.#last?.netmap !== netmap)
      this.#last = { netmap, speech: localSpeech(netmap, services), asks: new WeakMap() };
    return this.#last;
  }

  #asksOf({ netmap, speech: { unknown, apart } }: Now, spec: ListenerSpec): Asks {
    const service = netmap.services.get(spec.service)?.service;
    if (service === undefined) return { user: false, service: false };
    const called = { ...spec, service };
    const permits = (claim: SourceClaim) => {
      const caller = localCaller(netmap, this.#options.services, claim);
      return caller !== undefined && netmap.policy.decide(caller.source, called, '').allowed;
    };
    const differs = () => {
      const otherwise = permits(unknown);
      return apart.some((name) => permits({ type: 'service', name }) !== otherwise);
    };
    return { user: netmap.policy.asksUser(called), service: apart.length > 0 && differs() };
  }

  #claimOf({ service, fits, hiddenBy, program, pid, user }: Owner): SourceClaim {
    if (fits.length > 0)
      this.#ambiguous(fits, `${program || 'a program'} of ${user || 'some user'}, process ${pid ?? '?'}`);
    if (hiddenBy !== undefined) this.#hidden(hiddenBy, user);
    // What runs here may have changed since it was asked.
    const { unknown, apart } = this.#now.speech;
    return service !== undefined && apart.includes(service) ? { type: 'service', name: service } : unknown;
  }

  #ambiguous(fits: readonly string[], who: string): void {
    const subject = fits.join(' ');
    const message =
      `one process fits ${listed(fits, NAMED)} alike, by match or by its targets: ${who}; its calls are taken for no service of ` +
      'this host, which denies them more; let match in the agent file tell these services apart, such as by user or unit';
    this.#meet({ code: 'match-ambiguous', subject, message });
  }

  #hidden({ service, pid, name }: HiddenBy, user: string): void {
    const who = name === '' ? `process ${pid}` : `process ${pid} (${name})`;
    const message =
      `${who} of user ${user} may not be looked into, and might hold what programs of ${service} have open, so calls of these are taken for ` +
      `no service of this host, which denies them more; let it run as another user or in another unit than ${service}, or give the agent ` +
      'CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH';
    this.#meet({ code: 'callers-hidden', subject: service, message });
  }

  #meet(problem: Problem): void {
    const now = performance.now();
    const { message } = problem;
    const key = `${problem.code} ${problem.subject}`;
    let met = this.#met.get(key);
    if (met === undefined) {
      if (this.#met.size >= MOST_TOLD) this.#forget();
      if (this.#met.size >= MOST_TOLD) return;
      const tell = passing(this.#options.problems, problem);
      met = { tell, message, saidMs: now };
      this.#met.set(key, met);
    } else if (now - met.saidMs >= SAID_MS) {
      met.message = message;
      met.saidMs = now;
    }
    met.tell(met.message);
  }

  /** Those that are no problem any more. */
  #forget(): void {
    const standing = new Set(this.#options.problems.current.map(({ code, subject }) => `${code} ${subject}`));
    for (const key of this.#met.keys()) if (!standing.has(key)) this.#met.delete(key);
  }
}

/**
 * Nothing where it is not known, as of a number without a name in /etc/passwd: its name may be kept elsewhere, and a rule deny it.
 * A name that no rule can say is none.
 */
export function claimedUser({ user }: Pick<Owner, 'user'>): { readonly user?: ClaimedUser } {
  return user === '' || /^\d+$/.test(user) ? {} : { user: userNameProblem(user) === undefined ? user : '' };
}

function rulesOf({ netmap, services, watch }: SpeakersOptions, { apart }: LocalSpeech): readonly OwnerRule[] {
  return apart.flatMap((name): OwnerRule[] => {
    const [here, of] = [services.get(name), netmap.current.services.get(name)];
    if (here === undefined || of === undefined) return [];
    const { kind, ports } = of.service;
    const places = kind === 'worker' ? [] : [...eachPort(ports)];
    const targets = places.flatMap(({ port, protocol }) =>
      targetsOf(here, port, protocol).map((target) => ({ ...target, protocol })),
    );
    const { match } = here;
    const known = match === undefined ? { first: watch.firstUsers.get(name) } : { match };
    return [{ service: name, targets, ...defined(known) }];
  });
}
