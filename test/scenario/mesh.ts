/** A whole network in one process: a real control, real agents with a range of loopback addresses each, and relays between them. */
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowRecord } from '@weft/proto';
import { decodeJoinToken, encodeJoinToken, pages } from '@weft/proto';
import {
  AdminClient,
  adminService,
  bearerMetadata,
  callUnary,
  flowFromWire,
  meshToWire,
  type pb,
  pinnedCredentials,
  required,
  rolesToWire,
  type UnaryMethod,
} from '@weft/proto/wire';
import { type Logger, pino } from 'pino';
import { freePort } from '../../examples/demo/ports.ts';
import { parseMeshFile } from '../../packages/agent/src/config/mesh-file.ts';
import { type Control, type ServeOptions, startControl } from '../../packages/control/src/serve.ts';
import { Relay, type RelayOptions } from '../harness/relay.ts';
import { until } from '../harness/until.ts';
import { Agent, type AgentSpec } from './agent.ts';

export const NETWORK = 'prod';

/** Set WEFT_TEST_LOG to a level to see what control and agents say. */
const logger: Logger = pino({ level: process.env.WEFT_TEST_LOG ?? 'silent', base: null }, pino.destination(2));

export interface Member extends AgentSpec {
  /** Between this agent and those who dial it. */
  readonly relay?: Omit<RelayOptions, 'target'>;
  /** Puts a relay between this agent and control, too. */
  readonly controlRelay?: boolean;
  /** To join with; one for it is made when left out. */
  readonly token?: string;
}

/** Of control, where it is not the usual. */
export type ControlSettings = Partial<Pick<ServeOptions, 'metrics' | 'dashboard'>>;

export class Mesh {
  readonly #directory = mkdtempSync(join(tmpdir(), 'weft-scenario-'));
  readonly #agents: Agent[] = [];
  /** 127.x.y.0/24 is the agents' own: each takes the next y. */
  readonly #second = randomInt(130, 250);
  #third = randomInt(0, 200);
  #control: Control | undefined;
  #admin: AdminClient | undefined;
  /** Of control, kept over its restarts. */
  #port: number | undefined;
  readonly #settings: ControlSettings;

  constructor(settings: ControlSettings = {}) {
    this.#settings = settings;
  }

  /** Starts control, and gives it the mesh: the YAML of a mesh file without its network. */
  static async start(mesh: string, settings: ControlSettings = {}): Promise<Mesh> {
    const made = new Mesh(settings);
    await made.startControl();
    await made.apply(mesh);
    return made;
  }

  async startControl(): Promise<void> {
    const directory = join(this.#directory, 'control');
    this.#port ??= await freePort();
    const rest = { dashboard: undefined, advertise: [], logLevel: 'silent' };
    const options = { directory, listen: { host: '127.0.0.1', port: this.#port }, ...rest, ...this.#settings };
    const control = await startControl(options, { logger, now: Date.now });
    this.#control = control;
    this.#admin = new AdminClient(control.address, await pinnedCredentials(control.address, control.pin));
  }

  /** Where control is, and the operator's token. */
  get operator(): { readonly address: string; readonly token: string } {
    const { control } = this;
    return { address: control.address, token: readFileSync(control.adminTokenPath, 'utf8').trim() };
  }

  /** How the command line is told where control is. */
  get environment(): Readonly<Record<string, string>> {
    const { address, adminTokenPath } = this.control;
    return { WEFT_CONTROL: address, WEFT_ADMIN_TOKEN_FILE: adminTokenPath };
  }

  async stopControl(): Promise<void> {
    this.#admin?.close();
    await this.#control?.close();
    this.#admin = undefined;
    this.#control = undefined;
  }

  get control(): Control {
    if (this.#control === undefined) throw new Error('control is stopped');
    return this.#control;
  }

  async ask<Q, S>(method: UnaryMethod<Q, S>, request: pb.Outgoing<Q>): Promise<S> {
    const metadata = bearerMetadata(this.operator.token);
    if (this.#admin === undefined) throw new Error('control is stopped');
    return await callUnary(this.#admin, method, request, { metadata, deadlineMs: 15_000 });
  }

  /** Answers the revision, once every connected agent enforces it. */
  async apply(mesh: string): Promise<number> {
    const { mesh: parsed } = parseMeshFile('mesh.yaml', `network: ${NETWORK}\n${mesh}`);
    const { result } = await this.ask(adminService.apply, { mesh: meshToWire(parsed), terms: { wait: true } });
    const { stragglers, revision } = required(result, 'result');
    if (stragglers.length > 0) throw new Error(`not enforced by ${stragglers.join(', ')}`);
    return revision;
  }

  /** Joins a host and waits until it serves. */
  async agent(host: string, member: Member = {}): Promise<Agent> {
    this.#third += 1;
    const prefix = `127.${this.#second}.${this.#third}`;
    const tunnel = { host: `${prefix}.254`, port: 7410 };
    const relay = member.relay && (await Relay.start({ ...member.relay, target: tunnel }));
    const controlRelay =
      member.controlRelay === true
        ? await Relay.start({ target: { host: '127.0.0.1', port: this.#port ?? 0 } })
        : undefined;
    const agent = new Agent({
      host,
      spec: member,
      directory: join(this.#directory, host),
      tunnel,
      range: `${prefix}.0/24`,
      relay,
      controlRelay,
      logger: logger.child({ host }),
    });
    this.#agents.push(agent);
    const decoded = decodeJoinToken(member.token ?? (await this.#joinToken(host, member)));
    const addresses = controlRelay === undefined ? decoded.addresses : [controlRelay.endpoint];
    await agent.start(decodeJoinToken(encodeJoinToken({ ...decoded, addresses })));
    return agent;
  }

  async #joinToken(host: string, { services, gateway }: Member): Promise<string> {
    const { token } = await this.ask(adminService.createToken, {
      network: NETWORK,
      host,
      services: Object.keys(services ?? {}),
      roles: rolesToWire(gateway === undefined ? [] : ['gateway']),
    });
    return token;
  }

  /** What control holds of ended flows, oldest first. */
  async records(service?: string): Promise<FlowRecord[]> {
    const listing = pages((pageToken) =>
      this.ask(adminService.listFlows, { network: NETWORK, pageSize: 1_000, pageToken }),
    );
    const records: FlowRecord[] = [];
    for await (const { flows } of listing) records.push(...flows.map(flowFromWire));
    return records.reverse().filter((record) => service === undefined || record.service === service);
  }

  /** The service's records, once there are so many. Fails when there are more, or two of one flow. */
  async recorded(service: string, count: number, timeoutMs?: number): Promise<FlowRecord[]> {
    const records = await until(
      `${count} records of ${service}`,
      () => this.records(service),
      ({ length }) => length >= count,
      timeoutMs,
    );
    // A second record of a flow would come with the next batch, right behind the first.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const later = await this.records(service);
    const flows = new Set(later.map(({ id }) => id));
    if (later.length !== count || flows.size !== count) {
      const last = later.slice(-3).map((record) => JSON.stringify(record));
      throw new Error(
        `${later.length} records of ${flows.size} flows, expected ${count}; the last: ${last.join('\n')}`,
      );
    }
    return records;
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    await this.stopControl();
    for (const agent of this.#agents) agent.vanish();
    rmSync(this.#directory, { recursive: true });
  }
}
