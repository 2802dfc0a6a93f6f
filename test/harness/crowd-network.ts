/** A control as a real process, with a crowd in its network that tells of flows at a steady rate. */

import { Crowd } from './crowd.ts';
import { type CrowdPlan, flowsOf, seeded, telemetryOf } from './crowd-traffic.ts';
import type { Control } from './weft.ts';

/** Each second is cut into this many turns, so that the records come as they would: spread out. */
const TURNS = 10;
const TELEMETRY_MS = 5_000;
const HOSTS_PER_TOKEN = 20;

export class CrowdNetwork implements Disposable {
  readonly #crowds = new Map<string, Crowd>();
  readonly #plan: CrowdPlan;
  readonly #random = seeded(11);
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  /** Records told so far. */
  told = 0;

  private constructor(joined: readonly Crowd[], plan: CrowdPlan) {
    for (const crowd of joined) for (const host of crowd.hosts) this.#crowds.set(host, crowd);
    this.#plan = plan;
  }

  static async start(control: Control, plan: CrowdPlan): Promise<CrowdNetwork> {
    await control.apply(plan.mesh);
    const joined: Crowd[] = [];
    // A token names at most 256 services.
    for (let first = 0; first < plan.members.length; first += HOSTS_PER_TOKEN) {
      const members = plan.members.slice(first, first + HOSTS_PER_TOKEN);
      const services = [...new Set(members.flatMap((member) => member.services))];
      const scope = services.length === 0 ? [] : ['--services', services.join(',')];
      const token = await control.ok('token', 'create', '--network', 'prod', '--gateway', '--reusable', ...scope);
      joined.push(await Crowd.join(control.listen, token, members));
    }
    return new CrowdNetwork(joined, plan);
  }

  /** Flow records over all hosts together, per second; telemetry every five seconds from each, as agents send it. */
  talk(recordsPerSecond: number): void {
    const talking = this.#plan.members.map(({ host }) => host).filter((host) => this.#plan.calls.has(host));
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const turn = this.#turn++;
      const perTurn = recordsPerSecond / TURNS;
      // In each turn another tenth of the hosts speaks, each with what it has gathered in a second.
      const speakers = talking.filter((_host, index) => index % TURNS === turn % TURNS);
      speakers.forEach((host, index) => {
        const share =
          Math.floor(((index + 1) * perTurn) / speakers.length) - Math.floor((index * perTurn) / speakers.length);
        const records = flowsOf(this.#plan, host, share, this.#random);
        if (records.length > 0) this.#crowd(host).flows(host, records);
        this.told += records.length;
      });
      const everyTurns = (TELEMETRY_MS / 1_000) * TURNS;
      this.#plan.members.forEach(({ host }, index) => {
        if (index % everyTurns !== turn % everyTurns) return;
        const flows = (recordsPerSecond * TELEMETRY_MS) / 1_000 / talking.length;
        this.#crowd(host).telemetry(host, telemetryOf(this.#plan, host, flows, TELEMETRY_MS, this.#random));
      });
    }, 1_000 / TURNS);
  }

  /** A host vanishes. */
  leave(host: string): void {
    this.#crowd(host).leave(host);
  }

  quiet(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.quiet();
    for (const crowd of new Set(this.#crowds.values())) crowd.close();
  }

  #crowd(host: string): Crowd {
    const crowd = this.#crowds.get(host);
    if (crowd === undefined) throw new Error(`${host} has not joined`);
    return crowd;
  }
}
