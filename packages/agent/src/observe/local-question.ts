/** What programs of this host may ask the agent over the socket in its directory, and how it says that it has no answer. */
import { type Action, type BreakPoint, CodedError, messageOf, PROTOCOLS, type Problem } from '@weft/proto';
import { z } from 'zod';
import { FileError, type FileProblem } from '../config/errors.ts';
import type { FileChange } from '../config/file-changes.ts';
import type { ToBeClosed } from '../guard/guard-file.ts';
import type { PathNow } from '../tunnel/types.ts';
import { StatusSocketError } from './errors.ts';
import type { ServiceView } from './service-view.ts';

const QUESTION = z.discriminatedUnion('ask', [
  z.object({ ask: z.literal('status') }),
  /** One round trip to a host: answered by a PingAnswer. However many ask at once, one is under way in a tunnel. */
  z.object({
    ask: z.literal('ping'),
    host: z.string(),
    /** By a tunnel that this agent makes: one that the peer made shows nothing of the way there. */
    dialled: z.boolean().default(false),
  }),
  /** What a check of this host wants to know of the agent: answered by HostFacts. */
  z.object({ ask: z.literal('facts') }),
  /** What would become of a flow of this host: answered by ExplainAnswer. */
  z.object({
    ask: z.literal('explain'),
    from: z.string(),
    service: z.string(),
    port: z.int(),
    protocol: z.enum(PROTOCOLS),
  }),
  /** As explain, of a process or a user of this host, which an agent of before takes for a service: answered by ExplainAnswer. */
  z.object({
    ask: z.literal('explain-caller'),
    from: z.string().regex(/^(pid:[1-9]\d{0,9}|user:.+)$/),
    service: z.string(),
    port: z.int(),
    protocol: z.enum(PROTOCOLS),
  }),
  /** Those that the agent is told of: answered by ServicesAnswer. */
  z.object({ ask: z.literal('services') }),
  /** The newest that are open with an end on this host: answered by OpenFlows. */
  z.object({
    ask: z.literal('open-flows'),
    filter: z.object({
      source: z.string().optional(),
      service: z.string().optional(),
      port: z.int().optional(),
      host: z.string().optional(),
    }),
  }),
  /** The agent file is to be read again. */
  z.object({ ask: z.literal('reload') }),
  /** What the guard is to close: answered by GuardAnswer. */
  z.object({
    ask: z.literal('guard'),
    /** From now on it is to be there, or not. */
    want: z.boolean().optional(),
    /** What is closed now: the number of the answer that said so. */
    closed: z.string().max(64).optional(),
    /** Whether whoever says so goes on to see to it; whoever does not know leaves it out. */
    keeps: z.boolean().optional(),
  }),
]);

/** One JSON object in one line; who says nothing asks for the status. */
export type LocalQuestion = z.input<typeof QUESTION>;
/** As the agent reads it. */
export type ReadQuestion = z.output<typeof QUESTION>;

export type PingAnswer =
  | { readonly path: PathNow }
  /** Why there is no way. */
  | { readonly unreachable: string };

export interface ReloadAnswer {
  readonly file: string;
  /** Now in force. */
  readonly changes: readonly FileChange[];
  /** That came with it; an agent of before says nothing of them. */
  readonly problems: readonly Problem[];
}

export interface ExplainAnswer {
  readonly verdict: Action;
  /** That decided. */
  readonly rule: string;
  readonly revision: number;
  readonly reason: string;
  readonly breakPoint: BreakPoint;
  /** What was found on the way, one sentence a step. */
  readonly steps: readonly string[];
  /** Where one was asked about. */
  readonly process?: {
    readonly pid: number;
    /** As in records: empty where unknown. */
    readonly user: string;
    readonly unit: string;
    readonly program: string;
    /** Empty where it speaks as its host. */
    readonly service: string;
  };
}

export interface ServicesAnswer {
  readonly services: readonly ServiceView[];
}

export interface GuardAnswer extends ToBeClosed {
  readonly wanted: boolean;
  /** Of what is to be closed now. */
  readonly number: string;
  /** Whether something sees to it. */
  readonly kept: boolean;
}

/** In place of an answer. */
export interface LocalFailure {
  readonly error: {
    readonly code: string;
    readonly message: string;
    /** What is wrong with which file, where that is the cause. */
    readonly wrong?: { readonly file: string; readonly problems: readonly FileProblem[] };
  };
}

/** Throws StatusSocketError. */
export function readQuestion(line: string): ReadQuestion {
  if (line.trim() === '') return { ask: 'status' };
  try {
    return QUESTION.parse(JSON.parse(line));
  } catch {
    // Told below, as any other.
  }
  throw new StatusSocketError(
    'question-unknown',
    'this agent does not know what it is asked; is it older than who asks?',
  );
}

export function toFailure(error: unknown): LocalFailure {
  const code = error instanceof CodedError || error instanceof FileError ? String(error.code) : 'fault';
  const message = messageOf(error);
  if (!(error instanceof FileError)) return { error: { code, message } };
  return { error: { code, message, wrong: { file: error.file, problems: error.problems } } };
}

/** What the agent threw, as far as it was told. */
export function fromFailure({ error: { code, message, wrong } }: LocalFailure): Error {
  if (wrong === undefined) return new CodedError(code, message);
  return new FileError(code === 'file-unreadable' ? code : 'file-invalid', wrong.file, wrong.problems);
}
