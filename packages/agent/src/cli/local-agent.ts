/** The agent of this host, for commands that ask it. */
import { CodedError } from '@weft/proto';
import type { LocalQuestion } from '../observe/local-question.ts';
import { askAgent } from '../observe/status-client.ts';
import { CommandError } from './errors.ts';

/** Nobody is there to ask. */
export function noAgent(directory: string): CommandError {
  return new CommandError(
    'nothing-to-ask',
    `no agent runs that keeps its state in ${directory}; start it: weft up; or name where another agent of this host keeps it by --data`,
  );
}

export interface Asking<Answer> {
  /** An agent of before there were questions has but one answer to all, which is its status. */
  readonly isAnswer: (answer: Partial<Answer>) => boolean;
  /** What an agent that does not know the question cannot do, in words. */
  readonly lacks: string;
  /** What else may be done then than to restart it; empty for nothing. */
  readonly orElse?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Throws CommandError where no agent runs, or one that is older than the question; and what askAgent does. */
export async function askRunning<Answer extends object>(
  directory: string,
  question: LocalQuestion,
  { isAnswer, lacks, orElse = '', timeoutMs, signal }: Asking<Answer>,
): Promise<Answer> {
  let answer: Answer | undefined;
  try {
    answer = await askAgent<Answer>(directory, question, timeoutMs, signal);
    if (answer === undefined) throw noAgent(directory);
    if (isAnswer(answer)) return answer;
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'question-unknown') throw error;
  }
  throw new CommandError(
    'agent-too-old',
    `the agent that keeps its state in ${directory} is of an older version, which ${lacks}; restart it by this one${orElse}`,
  );
}
