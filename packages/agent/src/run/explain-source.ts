/** Who would call, as far as this host's agent knows: a service, its host, a user or a process of it, a peer, or the internet. */
import { type CallerUser, listed, type Source, sourceName, userNameProblem, type Verdict } from '@weft/proto';
import type { AgentService } from '../config/agent-file.ts';
import { localSpeech, runsHere, tellingsHere, toldOf } from '../flows/judge.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { ExplainAnswer } from '../observe/local-question.ts';
import { claimedUser } from '../outbound/speakers.ts';
import { parentsOf } from '../owner/process.ts';
import { type Sight, type UsersHere, usersHere } from '../owner/sight.ts';
import type { SandboxStatus } from '../sandbox/sandboxes.ts';
import type { Netmap } from '../words/netmap.ts';
import type { LookedFor, ProcessOwner } from '../words/owner.ts';

/** Services that a step names. */
const NAMED = 8;

export interface CallerParts {
  readonly netmap: Netmap;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  readonly sight: Sight;
  readonly users?: UsersHere;
  /** What a process would be taken for. */
  readonly look: (pid: number) => Promise<LookedFor>;
  /** That run: what is in them speaks as their service. `pid` is of what began it, and has all of it below. */
  readonly sandboxes: readonly Pick<SandboxStatus, 'service' | 'user' | 'pid'>[];
}

export interface Caller {
  /** Undefined where nobody that this host is told of may call so. */
  readonly source: Source | undefined;
  /** What is to be said of how it speaks. */
  readonly said: readonly string[];
  /** Whether it calls from here. */
  readonly own: boolean;
  /** What it may speak as instead, which nobody can say beforehand. */
  readonly perhaps?: readonly Source[];
  /** Empty for one that no rule names. */
  readonly user?: CallerUser;
  /** Where one process was asked about. */
  readonly caller?: Pick<ExplainAnswer, 'process'>;
}

/** Rejects with LocalRefusal where it is a process or user that is not there, or whose calls do not pass this agent. */
export async function sourceOf(parts: CallerParts, from: string): Promise<Caller> {
  const { netmap, services } = parts;
  const { self } = netmap;
  if (self === undefined) return { source: undefined, said: [], own: false };
  if (from === 'internet') return { source: { type: 'internet' }, said: [], own: self.roles.includes('gateway') };
  if (from.startsWith('pid:')) return await processOf(parts, Number(from.slice('pid:'.length)));
  if (from.startsWith('user:')) return userOf(parts, from.slice('user:'.length));
  if (from === `host:${self.host}`) return hostOf(parts);
  if (from.startsWith('host:')) {
    const peer = [...netmap.peers.values()].find(({ host }) => host === from.slice('host:'.length));
    return { source: peer && netmap.hostSource(peer), said: [], own: false };
  }
  return serviceOf(parts, from, runsHere(netmap, services, from) !== undefined);
}

function hostOf({ netmap, services, sight, users }: CallerParts): Caller {
  const { self } = netmap;
  const { unknown } = localSpeech(netmap, services);
  if (self === undefined || unknown.type === 'service') {
    const said = [oneService(self?.host ?? '', unknown)];
    return { source: sourceOfClaim(netmap, unknown), said, own: true };
  }
  const known = [...toldOf(tellingsHere(netmap, services, sight, users))];
  const said =
    known.length === 0 ? [] : [`so speak programs of ${self.host} that are not known to be of ${listed(known, NAMED)}`];
  return { source: netmap.hostSource(self), said, own: true };
}

function serviceOf({ netmap, services, sight, users }: CallerParts, from: string, own: boolean): Caller {
  const { self } = netmap;
  const { apart } = localSpeech(netmap, services);
  const source = sourceOfService(netmap, from);
  if (self === undefined || !own || !apart.includes(from)) return { source, said: [], own };
  const telling = tellingsHere(netmap, services, sight, users).get(from);
  if (telling === 'own') {
    const said = `programs of ${from} that are of this agent's own user speak as it, others as host:${self.host}`;
    return { source: netmap.hostSource(self), said: [said], own, ...(source && { perhaps: [source] }) };
  }
  if (telling !== 'told') {
    const said = `${self.host} runs ${listed(apart, NAMED)}, where no process can be told to be of ${from}, so it speaks as host:${self.host}`;
    return { source: netmap.hostSource(self), said: [said], own };
  }
  return { source, said: [`${self.host} ${howKnown(services.get(from))} ${from}`], own };
}

/** Any process of that user: of a service, where match asks for the user and no more; else perhaps of each that the user may be of. */
function userOf({ netmap, services, sandboxes, users = usersHere() }: CallerParts, asked: string): Caller {
  const { self } = netmap;
  if (self === undefined || userNameProblem(asked) !== undefined) return { source: undefined, said: [], own: true };
  const uid = users.numberOf(asked);
  if (uid === undefined)
    throw new LocalRefusal(
      'no-such-user',
      `/etc/passwd of ${self.host} has no user ${asked}, so no process here is told to be of it, and rules that name it select none; ` +
        'of a process that another directory has a name for: weft explain --pid PID TO',
    );
  const name = users.nameOf(uid);
  const [user, alias] = [claimedUser({ user: name }).user ?? null, aliasWords(asked, name, uid)];
  const inside = [...new Set(sandboxes.filter((one) => users.numberOf(one.user) === uid).map((one) => one.service))];
  const shutIn = inside.flatMap((service) => sourceOfService(netmap, service) ?? []);
  const saidInside =
    inside.length === 0 ? [] : [`those that weft run has begun for ${name} speak as ${listed(inside, NAMED)}`];
  const of = (source: Source | undefined, said: string, perhaps: readonly Source[] = []): Caller => ({
    ...{ source, user, own: true },
    said: [...alias, said, ...saidInside],
    perhaps: [...perhaps, ...shutIn],
  });
  const { unknown, apart } = localSpeech(netmap, services);
  if (unknown.type === 'service') return of(sourceOfClaim(netmap, unknown), oneService(self.host, unknown));
  const fitting = apart.filter((service) => {
    const named = services.get(service)?.match?.user;
    return named === undefined || users.numberOf(named) === uid;
  });
  // What the agent file says goes before who listens.
  const [only, another] = fitting.filter((service) => services.get(service)?.match !== undefined);
  const { user: _, ...more } = services.get(only ?? '')?.match ?? {};
  if (only !== undefined && another === undefined && Object.keys(more).length === 0)
    return of(sourceOfService(netmap, only), `${self.host} ${howKnown(services.get(only))} ${only}`);
  const perhaps = fitting.flatMap((service) => sourceOfService(netmap, service) ?? []);
  const said =
    fitting.length === 0
      ? `processes of user ${name} are of no service of ${self.host}`
      : `processes of user ${name} may be of ${listed(fitting, NAMED)}, or of no service of ${self.host}: --pid tells of one`;
  return of(netmap.hostSource(self), said, perhaps);
}

/** Of several names for one number, rules select by the first. */
function aliasWords(asked: string, name: string, uid: number): readonly string[] {
  if (asked === name) return [];
  return [`user ${asked} is number ${uid}, whose name here is ${name}: no rule selects its processes as user:${asked}`];
}

async function processOf({ netmap, services, look, sandboxes }: CallerParts, pid: number): Promise<Caller> {
  const { self } = netmap;
  const found = await look(pid);
  if (found === 'not-looked-at')
    throw new LocalRefusal('not-looked-at', `process ${pid} could not be looked at in time; ask again`);
  if (self === undefined || found === undefined)
    throw new LocalRefusal('no-such-process', `there is no process ${pid} here that this agent can look at`);
  const { unit, program } = found;
  const shutIn = sandboxOf(pid, sandboxes);
  if (shutIn !== undefined) {
    const { service, user } = shutIn;
    return {
      source: sourceOfService(netmap, service),
      said: [whoIs({ ...found, user }), `it is in a sandbox of weft run, so it speaks as ${service}`],
      own: true,
      user: claimedUser({ user }).user ?? null,
      caller: { process: { pid, user, unit, program, service } },
    };
  }
  if (found.elsewhere)
    throw new LocalRefusal(
      'not-own',
      `process ${pid} is in another network namespace, and in no sandbox of weft run: what it calls there does not pass this agent`,
    );
  const { unknown, apart } = localSpeech(netmap, services);
  const service = found.service !== undefined && apart.includes(found.service) ? found.service : undefined;
  const source = service === undefined ? sourceOfClaim(netmap, unknown) : sourceOfService(netmap, service);
  const speaks =
    unknown.type === 'service' ? oneService(self.host, unknown) : ofProcess(found, service, services, self.host);
  return {
    source,
    said: [whoIs(found), speaks],
    own: true,
    user: claimedUser(found).user ?? null,
    caller: { process: { pid, user: found.user, unit, program, service: service ?? '' } },
  };
}

/** The nearest that it descends from: in there nobody gets out from under its first process. */
function sandboxOf(pid: number, sandboxes: CallerParts['sandboxes']): CallerParts['sandboxes'][number] | undefined {
  if (sandboxes.length === 0) return undefined;
  for (const above of parentsOf(pid)) {
    const found = above === pid || above === 1 ? undefined : sandboxes.find((one) => one.pid === above);
    if (found !== undefined) return found;
  }
  return undefined;
}

function whoIs({ pid, user, unit, program }: ProcessOwner): string {
  const facts = [user && `user ${user}`, unit && `unit ${unit}`, program && `program ${program}`].filter(Boolean);
  return `process ${pid}: ${facts.length === 0 ? 'nothing can be seen' : facts.join(', ')}`;
}

function ofProcess(
  { pid, service: found, fits, by, hidden }: ProcessOwner,
  service: string | undefined,
  services: CallerParts['services'],
  host: string,
): string {
  const asHost = `so it speaks as host:${host}`;
  if (hidden) return `this agent may not look into process ${pid}, and its user and unit do not decide, ${asHost}`;
  if (fits.length > 0) return `it fits ${listed(fits, NAMED)} alike, ${asHost}`;
  if (found === undefined)
    return `it fits no match of a service that runs here, nor listens at a target of one, ${asHost}`;
  if (service === undefined) return `it is of ${found}, which does not run here now, ${asHost}`;
  if (by === 'match') return `it is of ${service} by match: ${matchWords(services.get(service)).join(', ')}`;
  const listener = by?.listener;
  return listener === undefined || listener === pid
    ? `it is of ${service}, at whose target it listens`
    : `it is of ${service}: it descends from process ${listener}, which listens at its target`;
}

function sourceOfService(netmap: Netmap, name: string): Source | undefined {
  const known = netmap.services.get(name)?.service;
  return known && { type: 'service', service: known };
}

function sourceOfClaim(netmap: Netmap, claim: ReturnType<typeof localSpeech>['unknown']): Source | undefined {
  if (claim.type === 'service') return sourceOfService(netmap, claim.name);
  return netmap.self && netmap.hostSource(netmap.self);
}

function oneService(host: string, claim: ReturnType<typeof localSpeech>['unknown']): string {
  return `programs of ${host} speak as ${claim.type === 'service' ? claim.name : 'it'}, the one service that runs there`;
}

/** By what a process is told to be of the service. */
function howKnown(here: AgentService | undefined): string {
  const words = matchWords(here);
  return words.length > 0
    ? `takes processes of ${listed(words, NAMED)} for`
    : 'takes who listens at its target, and what that starts as the same user, for';
}

function matchWords(here: AgentService | undefined): readonly string[] {
  return Object.entries(here?.match ?? {}).map(([word, value]) => `${word} ${value}`);
}

export function notPromised(host: string, from: string, verdict: Verdict, other: Verdict): LocalRefusal {
  const does = ({ allowed, rule }: Verdict) => `${allowed ? 'permitted' : 'denied'} by ${rule}`;
  if (from.startsWith('user:'))
    return new LocalRefusal(
      'not-promised',
      `it cannot be promised: processes of ${from} may speak as ${sourceName(verdict.source)}, ${does(verdict)}, ` +
        `or as ${sourceName(other.source)}, ${does(other)}; ask of one of them: weft explain --pid PID TO`,
    );
  const words =
    `it cannot be promised: the agent of ${host} sees processes of its own user alone. Those of ${from} that are of that user speak as ${from}, ` +
    `${does(other)}; others as ${sourceName(verdict.source)}, ${does(verdict)}. Let match in the agent file name a user for ${from}, or give the ` +
    'agent CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH';
  return new LocalRefusal('not-promised', words);
}
