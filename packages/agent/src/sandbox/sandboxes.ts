/** All programs of this host that are shut in with the mesh: who may begin one, and what each is given of the netmap of now. */
import { type AddressRange, entryOf, formatPortRange, formatRange, listed, type PortRange } from '@weft/proto';
import type { Logger } from 'pino';
import { closeHandle } from '../bytes/handle.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { DnsServer } from '../dns/index.ts';
import type { EgressCounts } from '../egress/egress.ts';
import { EgressShare } from '../egress/egress-share.ts';
import { listenerSpecs } from '../outbound/listener-spec.ts';
import type { OutboundSide, SideSpeakers } from '../outbound/outbound.ts';
import { readProcess } from '../owner/process.ts';
import type { Netmap } from '../words/netmap.ts';
import { type Problems, passing } from '../words/problems.ts';
import type { InsidePrograms } from './inside.ts';
import { type Granted, MOST_ANSWER, readWanted, toWord, type Wanted } from './lines.ts';
import { MOST_LISTENERS, SandboxPlaces } from './listeners.ts';
import { programOf } from './program.ts';
import { Relay, type Visitor, type VisitorEvents } from './relay.ts';
import type { SandboxRights } from './rights.ts';
import { Sandbox } from './sandbox.ts';
import { speakersOf } from './speakers.ts';

/** At once; each has sockets of the agent. Users beside root and the agent's own have a share each, which no other can take. */
export const MOST_SANDBOXES = 200;
export const MOST_SANDBOXES_OF_USER = 100;
/** Who came and did not say in this time what it wants. */
const HELLO_MS = 5_000;
/** Services that a problem names. */
const MOST_NAMED = 8;

export interface SandboxesOptions {
  /** Of the unix socket. */
  readonly path: string;
  /** Directories and sockets of the agent that no program in a sandbox is to see. */
  readonly hide: readonly string[];
  readonly range: AddressRange;
  /** Called now and after each netmap. */
  readonly netmap: () => Netmap;
  readonly rights: SandboxRights;
  readonly inside: InsidePrograms;
  /** Whether programs may serve here: several threads could not share one. */
  readonly serves: boolean;
  /** A program runs as this service; it does no more. */
  readonly entered: (service: string) => void;
  readonly left: (service: string) => void;
  readonly side: (speakers: SideSpeakers) => OutboundSide;
  readonly dns: Pick<DnsServer, 'serveAlso'>;
  readonly files: OpenFiles;
  readonly problems: Problems;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** As `weft status` tells. */
export interface SandboxStatus {
  readonly service: string;
  readonly user: string;
  /** Of its supervisor. */
  readonly pid: number;
  /** The systemd unit that its supervisor is in; empty for none. */
  readonly unit: string;
  readonly since: string;
  /** Ports of its service that it serves. */
  readonly ports: readonly PortRange[];
  /** Connections and UDP flows that are open out of the mesh; left out where nothing is to be reached there. */
  readonly egress?: EgressCounts | undefined;
}

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #running = new Set<Sandbox>();
  /** Their connection has ended, and what others have open to their programs goes on; until it is over, or the right to serve it. */
  readonly #left = new Set<Sandbox>();
  readonly #relay: Relay;
  readonly #share: EgressShare;
  readonly #crowded: (message?: string) => void;
  #answers: { readonly netmap: Netmap; readonly of: Map<string, string | undefined> } | undefined;
  #places: { readonly netmap: Netmap; readonly places: SandboxPlaces } | undefined;

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#share = new EgressShare(options.files);
    const { path, log, signal, problems } = options;
    this.#crowded = passing(problems, { code: 'sandbox-listeners', subject: 'weft run', message: '' });
    this.#relay = new Relay({
      path,
      log,
      signal,
      arrived: (visitor) => this.#arrived(visitor),
      failed: (reason) => {
        if (reason === undefined) problems.clear('run-socket', path);
        else
          problems.raise({
            code: 'run-socket',
            subject: path,
            message: `${reason}; weft run finds no agent there until that is mended`,
          });
      },
    });
  }

  get current(): readonly SandboxStatus[] {
    return [...this.#running].map(({ reported: { service, user, pid, unit, sinceMs, ports }, outside }) => ({
      ...{ service, user, pid, unit, ports },
      since: new Date(sinceMs).toISOString(),
      egress: outside,
    }));
  }

  /** Of the program between, while there is one. */
  get relayPid(): number | undefined {
    return this.#relay.pid;
  }

  /**
   * To be called after each netmap and agent file: who may not go on is refused at once, the others follow. Nobody waits for those: one that is
   * stopped (Ctrl-Z) hands over nothing, and is not to hold up the network or a reload.
   */
  follow(): void {
    const { rights, netmap } = this.#options;
    for (const sandbox of this.#running) {
      const refusal = rights.refusal(netmap(), sandbox.service, sandbox.uid);
      if (refusal !== undefined) sandbox.refuse(refusal);
    }
    for (const sandbox of this.#left) {
      if (rights.refusal(netmap(), sandbox.service, sandbox.uid) !== undefined)
        for (const cut of [...sandbox.calls]) cut();
    }
    this.#forget();
    for (const sandbox of this.#running) void sandbox.follow();
  }

  #forget(): void {
    for (const sandbox of this.#left) if (sandbox.calls.size === 0) this.#left.delete(sandbox);
  }

  #arrived(visitor: Visitor): VisitorEvents {
    let sandbox: Sandbox | undefined;
    let done = false;
    const late = setTimeout(() => visitor.close(), HELLO_MS);
    return {
      line: (line, handle) => {
        if (sandbox !== undefined) {
          sandbox.line(line, handle);
          return;
        }
        // The relay lets none through; of a stranger nothing stays open in any case.
        closeHandle(handle);
        if (done) return;
        done = true;
        clearTimeout(late);
        sandbox = this.#greet(visitor, line);
        if (sandbox === undefined) visitor.close();
      },
      closed: () => {
        clearTimeout(late);
        sandbox?.closed();
      },
    };
  }

  #greet(visitor: Visitor, line: string): Sandbox | undefined {
    const [what, ...words] = line.split(' ');
    const wanted = readWanted(words);
    const refuse = (reason: string) => visitor.say(`refused ${toWord(reason)}`);
    if (wanted === undefined || (what !== 'hello' && what !== 'ask')) {
      refuse('the agent of this host is of another version than this weft; run both of the same');
      return undefined;
    }
    const refusal = this.#refusal(wanted, visitor.uid);
    if (refusal !== undefined) {
      refuse(refusal);
      return undefined;
    }
    if (what === 'ask') {
      const answer = this.#answerNow(wanted);
      if (answer !== undefined) visitor.say(answer);
      else
        refuse(
          `the network's services do not fit into the ${MOST_ANSWER} bytes that a sandbox is told; declare fewer services, or ranges of ports`,
        );
      return undefined;
    }
    return this.#begin(visitor, wanted);
  }

  #refusal({ service }: Wanted, uid: number): string | undefined {
    const { rights, netmap, serves } = this.#options;
    const refusal = rights.refusal(netmap(), service, uid);
    if (refusal !== undefined) return refusal;
    if (!serves && netmap().services.get(service)?.service.kind !== 'worker')
      return `${service} is called by others, and an agent of several threads (--workers) hands no calls to a sandbox; start the agent with --workers 1, or run ${service} outside`;
    if (this.#running.size >= MOST_SANDBOXES)
      return `${MOST_SANDBOXES} sandboxes run on this host, and an agent has no more; end one, or run this on another host`;
    if (!rights.isOwn(uid) && [...this.#running].filter((each) => each.uid === uid).length >= MOST_SANDBOXES_OF_USER)
      return `user ${rights.nameOf(uid)} runs ${MOST_SANDBOXES_OF_USER} sandboxes on this host, and one user has no more; end one, or run this on another host`;
    return undefined;
  }

  /** Made once for a service, until the netmap is another; undefined where it is too long for a line. */
  #answerNow(wanted: Wanted): string | undefined {
    const netmap = this.#options.netmap();
    if (this.#answers?.netmap !== netmap) this.#answers = { netmap, of: new Map() };
    return entryOf(this.#answers.of, wanted.service, () => {
      const facts = JSON.stringify(this.#granted(wanted));
      // As a word it is longer still; what is too long already is not made one.
      const answer = facts.length > MOST_ANSWER ? undefined : `granted ${toWord(facts)}`;
      return answer !== undefined && answer.length <= MOST_ANSWER ? answer : undefined;
    });
  }

  #granted({ service }: Wanted): Granted {
    const { range, hide, netmap } = this.#options;
    const { self, services } = netmap();
    const callable = [...services.values()].filter(({ service: { kind } }) => kind !== 'worker');
    return {
      range: formatRange(range),
      hide,
      network: self?.network ?? '',
      host: self?.host ?? '',
      services: callable.flatMap(({ service: { name, ports }, address }) =>
        address === undefined ? [] : [{ name, address, ports: ports.map(formatPortRange) }],
      ),
      ports: services.get(service)?.service.ports.map(formatPortRange) ?? [],
    };
  }

  #begin(visitor: Visitor, wanted: Wanted): Sandbox {
    const { side, dns, range, files, log, rights, netmap, inside, entered, left } = this.#options;
    const { uid, pid } = visitor;
    visitor.greet();
    const who = { service: wanted.service, user: rights.nameOf(uid), pid };
    const sandbox = new Sandbox({
      visitor,
      wanted,
      // A right that is taken away ends what is open in the step that judges all flows, before the sandbox itself is refused.
      side: side(
        speakersOf(
          {
            ...who,
            program: programOf(pid),
            holds: (current) => rights.refusal(current, wanted.service, uid) === undefined,
          },
          netmap,
        ),
      ),
      dns,
      range,
      share: this.#share,
      files,
      log,
      user: who.user,
      unit: readProcess(pid)?.unit ?? '',
      declared: () => netmap().services.get(wanted.service)?.service,
      places: () => this.#placesNow(),
      changed: () => inside.changed(),
      ended: () => {
        this.#running.delete(sandbox);
        this.#forget();
        if (sandbox.calls.size > 0) this.#left.add(sandbox);
        inside.leave(sandbox);
        left(wanted.service);
        log.info({ event: 'sandbox-ended', ...who }, 'a program in a sandbox is gone');
      },
    });
    this.#running.add(sandbox);
    entered(wanted.service);
    inside.enter(sandbox);
    log.info({ event: 'sandbox-began', ...who }, 'a program runs in a sandbox');
    void sandbox.begin();
    return sandbox;
  }

  /** Made once for all of them. */
  #placesNow(): SandboxPlaces {
    const netmap = this.#options.netmap();
    if (this.#places?.netmap !== netmap) this.#places = { netmap, places: new SandboxPlaces(listenerSpecs(netmap)) };
    const { places } = this.#places;
    if (places.short.length > 0)
      this.#crowded(
        `a sandbox listens at ${MOST_LISTENERS} places for its program, and the network's services have more: calls to the other ports of ` +
          `${listed(places.short, MOST_NAMED)} are refused in sandboxes; declare fewer different ports, or have their programs open fewer`,
      );
    return places;
  }
}
