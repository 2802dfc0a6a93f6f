/** Where an agent listens for its host's programs, as its problems name it, and what may be wrong with it. */
import type { Protocol } from './mesh.ts';

/** Codes of the problems of one listener, which has one at a time; their subject is the listener's name. */
export const LISTENER_PROBLEMS = [
  'port-taken',
  'port-privileged',
  'address-unavailable',
  'too-many-files',
  'port-shared',
  'port-awaited',
  'listen-failed',
] as const;

export type ListenerProblemCode = (typeof LISTENER_PROBLEMS)[number];

export interface ListenerPlace {
  readonly service: string;
  /** Undefined on the service's own VIP. */
  readonly ordinal: number | undefined;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Such as `redis:6379/tcp`, or `0.redis:6379/tcp` for an instance: how problems name the listener. */
export function listenerName({ service, ordinal, port, protocol }: ListenerPlace): string {
  return `${ordinal === undefined ? '' : `${ordinal}.`}${service}:${port}/${protocol}`;
}
