/** The agent of this host, for commands that ask it. */
import { CommandError } from './errors.ts';

/** Nobody is there to ask. */
export function noAgent(directory: string): CommandError {
  return new CommandError(
    'nothing-to-ask',
    `no agent runs that keeps its state in ${directory}; start it: weft up; or name where another agent of this host keeps it by --data`,
  );
}
