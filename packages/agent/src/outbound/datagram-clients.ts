/** Who sends datagrams to this agent's listeners: each client by its address and port, each listener's in order of use. */
import type { DatagramSource } from '../bytes/datagrams.ts';
import { conversationMs, flowIdleMs, isOfNames } from '../flows/flow.ts';
import type { Flow } from '../flows/registry.ts';
import type { DatagramConduit } from '../words/conduit.ts';

/** A client whose datagram has no answer yet is left alone for so long before it may make room. */
const OWED_MS = 1_000;
/** Of the longest idle, looked at before all are taken to be in use. */
const LOOKED_AT = 16;
/** A client that has sent for so long and heard nothing may have an instance whose host is gone. */
const UNANSWERED_MS = 1_000;
/** One question with its one answer is over this soon, and so are questions for names: whoever else says more may be told more later, unasked. */
const ANSWERED_IDLE_MS = 3_000;

/** What is known of one client of one listener. */
export class Client {
  /** `denied` to the end of its idle time, or `failed` for a moment: its datagrams are dropped. */
  state: 'opening' | 'open' | 'denied' | 'failed' = 'opening';
  flow: Flow | undefined;
  conduit: DatagramConduit | undefined;
  /** Whether another instance might serve it. */
  hasOthers: () => boolean = () => false;
  readonly waiting: Buffer[] = [];
  waitingBytes = 0;
  readonly openedMs: number;
  usedMs: number;
  /** When it sent the first datagram that nothing came back for; undefined while nothing is owed. */
  owedSinceMs: number | undefined;
  /** Of one that was looked up: until when it is known whose the port is, and how that is asked again. */
  check: { knownMs: number; asking: boolean; readonly same: () => Promise<boolean> } | undefined;
  asked = 0;
  answered = 0;
  readonly key: string;
  readonly of: ListenerClients;
  /** Its neighbours in order of use. */
  earlier: Client | undefined;
  later: Client | undefined;

  constructor(key: string, of: ListenerClients, now: number) {
    this.key = key;
    this.of = of;
    this.openedMs = now;
    this.usedMs = now;
  }

  used(now: number): void {
    this.asked++;
    this.usedMs = now;
    this.owedSinceMs ??= now;
    this.of.touch(this);
  }

  heard(now: number): void {
    this.answered++;
    this.usedMs = now;
    this.owedSinceMs = undefined;
    this.of.touch(this);
  }

  /** It asked one question, and has its answer; or for names, as often as it likes (A and AAAA go from one port). */
  get served(): boolean {
    if (isOfNames(this.of.port)) return this.answered >= this.asked;
    return this.asked === 1 && this.answered === 1;
  }

  idle(now: number, idleMs: number): boolean {
    if (this.state === 'opening') return false;
    const silentMs = now - this.usedMs;
    if (this.served) return silentMs >= Math.min(idleMs, ANSWERED_IDLE_MS);
    const isConversation = this.asked > 1 && this.answered > 0;
    return silentMs >= (isConversation ? conversationMs(this.of.port, idleMs) : flowIdleMs(this.of.port, idleMs));
  }

  /** Nothing comes back, nor any sign of life from the host, and there is another: its next datagram is to open a flow anew. */
  forsaken(now: number): boolean {
    if (this.owedSinceMs === undefined || now - this.owedSinceMs < UNANSWERED_MS) return false;
    return this.hasOthers() && this.conduit?.silent?.() === true;
  }

  mayMakeRoom(now: number): boolean {
    return this.state !== 'opening' && (this.owedSinceMs === undefined || now - this.usedMs >= OWED_MS);
  }

  /** Ends what it has, in order. */
  finish(end: (flow: Flow) => void = (flow) => flow.end('closed')): void {
    const { flow, conduit } = this;
    this.flow = undefined;
    this.conduit = undefined;
    this.state = 'failed';
    if (flow !== undefined) end(flow);
    conduit?.close();
  }
}

/** A list through the clients keeps the order: it is renewed at each datagram, where nothing is to be allocated. */
export class ListenerClients {
  /** Of the service. */
  readonly port: number;
  readonly #all: DatagramClients;
  readonly #byKey = new Map<string, Client>();
  #first: Client | undefined;
  #last: Client | undefined;
  #lastPlace: DatagramSource | undefined;
  #lastKey = '';

  constructor(all: DatagramClients, port: number) {
    this.#all = all;
    this.port = port;
    all.listeners.add(this);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The same place is mostly the same object, and asked about many times in a row. */
  keyOf(place: DatagramSource): string {
    if (place !== this.#lastPlace) {
      this.#lastPlace = place;
      this.#lastKey = `${place.address}:${place.port}`;
    }
    return this.#lastKey;
  }

  get(key: string): Client | undefined {
    return this.#byKey.get(key);
  }

  /** Undefined when there is no room and nobody who may make it. */
  enter(key: string, now: number): Client | undefined {
    if (!this.#all.makeRoom(this, now)) return undefined;
    const client = new Client(key, this, now);
    this.#byKey.set(key, client);
    this.#append(client);
    this.#all.count++;
    return client;
  }

  forget(client: Client): void {
    if (this.#byKey.get(client.key) !== client) return;
    this.#byKey.delete(client.key);
    this.#unlink(client);
    this.#all.count--;
  }

  touch(client: Client): void {
    if (client === this.#last || this.#byKey.get(client.key) !== client) return;
    this.#unlink(client);
    this.#append(client);
  }

  /** The longest idle of those that may make room, or, `owed` or not, of those that are open. */
  spare(now: number, owed: boolean): Client | undefined {
    let client = this.#first;
    for (let looked = 0; client !== undefined && looked < LOOKED_AT; looked++, client = client.later) {
      if (owed ? client.state !== 'opening' : client.mayMakeRoom(now)) return client;
    }
    return undefined;
  }

  [Symbol.iterator](): IterableIterator<Client> {
    return this.#byKey.values();
  }

  /** The listener is closed. */
  close(): void {
    for (const client of this) {
      client.finish();
      this.forget(client);
    }
    this.#all.listeners.delete(this);
  }

  #append(client: Client): void {
    client.earlier = this.#last;
    client.later = undefined;
    if (this.#last === undefined) this.#first = client;
    else this.#last.later = client;
    this.#last = client;
  }

  #unlink({ earlier, later }: Client): void {
    if (earlier === undefined) this.#first = later;
    else earlier.later = later;
    if (later === undefined) this.#last = earlier;
    else later.earlier = earlier;
  }
}

/** Those of all listeners, which share one bound. */
export class DatagramClients {
  readonly listeners = new Set<ListenerClients>();
  readonly limit: number;
  readonly #crowded: () => void;
  count = 0;

  /** `crowded` is called each time that there is no room for one, or one made it that may not be done. */
  constructor(limit: number, crowded: () => void) {
    this.limit = limit;
    this.#crowded = crowded;
  }

  /**
   * When all places are taken, the longest idle of the listener that has the most makes room: so each has a share, and a crowd
   * at one service puts out its own.
   */
  makeRoom(newcomers: ListenerClients, now: number): boolean {
    if (this.count < this.limit) return true;
    let largest = newcomers;
    for (const listener of this.listeners) if (listener.size > largest.size) largest = listener;
    // A crowd that never hears an answer is owed for ever: against who has less than a share that does not count.
    const short = newcomers.size < this.limit / this.listeners.size && largest !== newcomers;
    const spare = largest.spare(now, short);
    if (spare === undefined || (spare.state === 'open' && !spare.served)) this.#crowded();
    spare?.finish((flow) => flow.end('closed', 'idle, and made room for another client'));
    if (spare !== undefined) largest.forget(spare);
    return spare !== undefined;
  }
}
