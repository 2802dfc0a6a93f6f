/**
 * What follows a new netmap, in this order and on every thread. All of it has happened when control is told that the revision is
 * enforced. A step that fails keeps none behind it from its turn; the revision is then not acknowledged, and control says it
 * again. Names, the gateway's routes and the choice of instances are not here: they ask for the newest netmap each time.
 */
import type { EnforcementStep } from '../words/netmap.ts';

export const ENFORCEMENT: readonly EnforcementStep[] = [
  // What lost its permission is cut before anything is opened under the new rules.
  'flows',
  // Then the tunnels of peers that are gone, which would reset flows before their records could say why.
  'tunnels',
  // Which services run here decides where this agent may listen.
  'targets',
  // New addresses are listened on when what may come there is judged by the new rules already.
  'listeners',
  // What the agent file asks for and control does not grant is told once all that is granted works.
  'mismatches',
  // What is kept for the next start is what was enforced.
  'kept',
  'measured',
];
