/** What a program in a sandbox speaks as: its service, for certain. Its user is told where a rule about what it calls speaks of users. */
import { userNameProblem } from '@weft/proto';
import type { SideSpeakers } from '../outbound/outbound.ts';
import type { Speaker } from '../outbound/speakers.ts';
import type { Netmap } from '../words/netmap.ts';
import type { SourceClaim } from '../words/opening.ts';
import { type Owner, UNKNOWN_OWNER } from '../words/owner.ts';

export interface SandboxWho {
  readonly service: string;
  /** Name, or number written out where there is none. */
  readonly user: string;
  /** Of its supervisor. */
  readonly pid: number;
  /** What it was begun for, as of now. */
  readonly program: () => string;
  /** Whether its user may still run a program so. */
  readonly holds: (netmap: Netmap) => boolean;
}

export function speakersOf({ service, user, pid, program, holds }: SandboxWho, netmap: () => Netmap): SideSpeakers {
  const claim: SourceClaim = { type: 'service', name: service };
  const owner: Owner = {
    ...{ ...UNKNOWN_OWNER, service, user, pid },
    get program() {
      return program();
    },
  };
  const unknown: Speaker = { claim, owner, holds };
  // A number may have a name elsewhere, and a rule deny it; a name that no rule can say is none.
  const named = /^\d+$/.test(user) ? claim : { ...claim, user: userNameProblem(user) === undefined ? user : '' };
  return {
    get unknown() {
      // Known from the first call on, for the record of one that ends with the sandbox.
      program();
      return unknown;
    },
    of: (spec) => {
      program();
      const { services, policy } = netmap();
      const called = services.get(spec.service)?.service;
      if (called === undefined || !policy.asksUser({ ...spec, service: called })) return unknown;
      return { claim: named, owner, holds };
    },
    same: () => Promise.resolve(true),
  };
}
