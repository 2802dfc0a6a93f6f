/** This host's programs, as the main thread tells of them: it alone watches. */
import type { Protocol } from '@weft/proto';
import type { AgentService } from '../../config/agent-file.ts';
import type { TargetAddress } from '../../inbound/addresses.ts';
import { type LocalTargets, listensHere, targetKey } from '../../inbound/target-watch.ts';

export class FollowedTargets implements LocalTargets {
  readonly #services: ReadonlyMap<string, AgentService>;
  #answering: ReadonlySet<string> = new Set();

  constructor(services: ReadonlyMap<string, AgentService>) {
    this.#services = services;
  }

  tell(answering: ReadonlySet<string>): void {
    this.#answering = answering;
  }

  listening(service: string, port: number, protocol: Protocol): boolean {
    return listensHere(this.#services.get(service), port, protocol, this);
  }

  answers(target: TargetAddress, protocol: Protocol): boolean {
    return this.#answering.has(targetKey(target, protocol));
  }

  /** What the main thread has bound may be bound: it looked. */
  portUse(): 'free' {
    return 'free';
  }

  /** Nothing that a listener depends on changes here. */
  onChange(): void {}
}
