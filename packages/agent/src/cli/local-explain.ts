/** weft explain where the agent of this host is asked: in the form of control's answer. */
import type { DestinationName } from '@weft/proto';
import { actionCodec, breakPointCodec, type pb } from '@weft/proto/wire';
import type { ExplainAnswer } from '../observe/local-question.ts';
import { type AgentHere, askHere } from './agent-instead.ts';

export const OWN_VIEW = 'flows from this host and to it, by the rules that it is told of and the ways from here';

/** Control's answer, and of a process what only this host knows. */
export type Explained = pb.Message<'ExplainResponse'> & Pick<ExplainAnswer, 'process'>;

export async function explainedHere(
  here: AgentHere,
  asked: DestinationName & { readonly from: string },
): Promise<Explained> {
  const ask = /^(user|pid):/.test(asked.from) ? 'explain-caller' : 'explain';
  const question = { ask, ...asked } as const;
  const { verdict, breakPoint, steps, ...rest } = await askHere<ExplainAnswer>(
    here,
    question,
    (told) => 'verdict' in told,
    TRIES_MS,
  );
  return {
    ...rest,
    verdict: actionCodec.toWire(verdict),
    breakPoint: breakPointCodec.toWire(breakPoint),
    steps: [...steps],
    refusedHosts: [],
    untriedHosts: [],
  };
}

/** Longer than the agent looks at a process, and then tries the ways to others. */
const TRIES_MS = 12_000;
