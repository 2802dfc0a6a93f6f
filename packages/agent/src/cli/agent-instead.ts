/** The agent of this host, asked in place of control where nothing here leads to control: it knows its own flows and its own view. */
import type { AgentStatus } from '../observe/agent-status.ts';
import type { LocalQuestion } from '../observe/local-question.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { adminAccess, hasToken, type NetworkOptions, untakenToken } from './admin.ts';
import { CommandError } from './errors.ts';
import { type Asking, askRunning, noAgent } from './local-agent.ts';
import type { LocalOptions } from './local-services.ts';
import { defaultDirectory } from './paths.ts';
import { printable, type Terminal } from './terminal.ts';

export interface AgentHere {
  readonly directory: string;
  readonly status: AgentStatus;
}

const ANSWER_MS = 5_000;

/**
 * Undefined where control is to be asked. `what` it is that the agent knows, in words, which the person is told. Throws CommandError
 * where there is neither, and StatusSocketError where an agent runs that cannot be asked.
 */
export async function agentInstead(
  options: NetworkOptions & LocalOptions,
  terminal: Terminal,
  what: string,
): Promise<AgentHere | undefined> {
  const { env } = terminal;
  const access = adminAccess(options, env);
  const leads = options.control !== undefined || (env.WEFT_CONTROL ?? '') !== '' || hasToken(access);
  if (options.data === undefined && leads) return undefined;
  const directory = options.data ?? defaultDirectory('weft', env);
  const status = await readLocalStatus(directory);
  if (status === undefined && options.data !== undefined) throw noAgent(directory);
  if (status === undefined)
    throw new CommandError(
      'nothing-to-ask',
      `${untakenToken(access)} to ask control with (--admin-token-file names another), and ${noAgent(directory).message}`,
    );
  const { network, host } = status;
  if (options.network !== undefined && options.network !== network)
    throw new CommandError(
      'nothing-to-ask',
      `the agent here is ${host} in network ${network}, and knows nothing of ${options.network}; ask control: --control HOST:PORT --admin-token-file FILE`,
    );
  terminal.err(`${printable(`as the agent of ${host} knows it: ${what}; control is not asked`)}\n`);
  return { directory, status };
}

/** Throws what askRunning does. */
export function askHere<Answer extends object>(
  { directory }: AgentHere,
  question: LocalQuestion,
  isAnswer: Asking<Answer>['isAnswer'],
  timeoutMs = ANSWER_MS,
): Promise<Answer> {
  const orElse = ', or ask control: --admin-token-file FILE';
  return askRunning(directory, question, { isAnswer, lacks: 'does not tell', orElse, timeoutMs });
}
