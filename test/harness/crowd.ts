/**
 * Many agents without a data path, over real gRPC against a real control: they join, prove who they are, acknowledge what
 * they are sent, and tell of flows that nobody made. For what only a large network shows.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { decodeJoinToken, type FlowRecord, type Telemetry } from '@weft/proto';
import {
  AgentClient,
  agentService,
  callDuplex,
  callUnary,
  flowBatchToWire,
  helloMessage,
  joinProofMessage,
  type pb,
  pinnedCredentials,
  rolesToWire,
  telemetryToWire,
} from '@weft/proto/wire';
import nacl from 'tweetnacl';
import { until } from './until.ts';

/** What one of them is to be. */
export interface CrowdMember {
  readonly host: string;
  readonly services: readonly string[];
  readonly gatewayAddress?: string;
}

/** Streams of one connection; control allows 256. */
const STREAMS = 100;
/** Joins under way at once. */
const JOINS = 8;

export class Crowd {
  readonly #agents = new Map<string, CrowdAgent>();
  readonly #clients: AgentClient[] = [];

  /** `token` is reusable, and good for every service and gateway that the members have. */
  static async join(address: string, token: string, members: readonly CrowdMember[]): Promise<Crowd> {
    const { id, secret, pin } = decodeJoinToken(token);
    const credentials = await pinnedCredentials(address, pin);
    const crowd = new Crowd();
    for (let index = 0; index < members.length; index += STREAMS) {
      crowd.#clients.push(new AgentClient(address, credentials, { 'grpc.use_local_subchannel_pool': 1 }));
    }
    const waiting = members.entries();
    const joinSome = async (): Promise<void> => {
      for (const [index, member] of waiting) {
        const client = crowd.#clients[Math.floor(index / STREAMS)] as AgentClient;
        const agent = await CrowdAgent.join(client, { id, secret, pin }, member);
        crowd.#agents.set(member.host, agent);
        agent.connect();
        // A stream counts against the number of strangers until its hello was heard.
        await until(`${member.host} is served`, () => agent.enforces > 0);
      }
    };
    await Promise.all(Array.from({ length: JOINS }, joinSome));
    return crowd;
  }

  get hosts(): readonly string[] {
    return [...this.#agents.keys()];
  }

  /** Ended flows, at most 1,000, of the host. */
  flows(host: string, records: readonly FlowRecord[]): void {
    this.#agent(host).send({ flows: flowBatchToWire(records, 0) });
  }

  telemetry(host: string, telemetry: Telemetry): void {
    this.#agent(host).send({ telemetry: telemetryToWire(telemetry) });
  }

  /** The host vanishes. */
  leave(host: string): void {
    this.#agent(host).close();
  }

  /** And is back. */
  back(host: string): void {
    this.#agent(host).connect();
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.close();
    for (const client of this.#clients) client.close();
  }

  #agent(host: string): CrowdAgent {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new Error(`${host} has not joined`);
    return agent;
  }
}

interface Ticket {
  readonly id: string;
  readonly secret: string;
  readonly pin: Uint8Array;
}

class CrowdAgent {
  /** Newest revision that it says it enforces. */
  enforces = 0;
  readonly #client: AgentClient;
  readonly #pin: Uint8Array;
  readonly #secretKey: Uint8Array;
  readonly #agentId: string;
  readonly #member: CrowdMember;
  #stream: ClientDuplexStream<pb.Outgoing<pb.AgentMessage>, pb.ControlMessage> | undefined;

  private constructor(
    client: AgentClient,
    pin: Uint8Array,
    secretKey: Uint8Array,
    agentId: string,
    member: CrowdMember,
  ) {
    this.#client = client;
    this.#pin = pin;
    this.#secretKey = secretKey;
    this.#agentId = agentId;
    this.#member = member;
  }

  static async join(client: AgentClient, { id, secret, pin }: Ticket, member: CrowdMember): Promise<CrowdAgent> {
    const { publicKey: identityKey, secretKey } = nacl.sign.keyPair();
    const tunnelKey = nacl.box.keyPair().publicKey;
    const { agentId } = await callUnary(client, agentService.join, {
      tokenId: id,
      tokenSecret: secret,
      identityKey,
      tunnelKey,
      proof: nacl.sign.detached(joinProofMessage(id, identityKey, tunnelKey), secretKey),
      host: member.host,
      services: member.services,
      roles: rolesToWire(member.gatewayAddress === undefined ? [] : ['gateway']),
      version: '0.1.0',
    });
    return new CrowdAgent(client, pin, secretKey, agentId, member);
  }

  connect(): void {
    const stream = callDuplex(this.#client, agentService.connect);
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.on('data', ({ challenge, welcome, delta }: pb.ControlMessage) => {
      if (challenge) this.#greet(challenge.nonce);
      if (welcome) this.#stand();
      if (!delta) return;
      const { timeline, index, revision } = delta;
      this.send({ ack: { timeline, index, revision, kept: true } });
      this.enforces = revision;
    });
  }

  send(message: pb.Outgoing<pb.AgentMessage>): void {
    this.#stream?.write(message);
  }

  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  #greet(nonce: Uint8Array): void {
    this.send({
      hello: {
        agentId: this.#agentId,
        signature: nacl.sign.detached(helloMessage(nonce, this.#pin, this.#agentId), this.#secretKey),
        version: '0.1.0',
      },
    });
  }

  #stand(): void {
    const { services, gatewayAddress = '' } = this.#member;
    this.send({
      standing: {
        report: {
          endpoints: ['192.0.2.1:7410'],
          tunnelPort: 7410,
          instances: services.map((service) => ({ service, healthy: true })),
          gatewayAddress,
        },
      },
    });
  }
}
