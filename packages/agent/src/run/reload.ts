/** Takes up a changed agent file while the agent runs: whole, or not at all. */
import { defined, isBreak, messageOf, type Problem } from '@weft/proto';
import type { Logger } from 'pino';
import type { AgentFile } from '../config/agent-file.ts';
import { fileChanges } from '../config/file-changes.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { ReloadAnswer } from '../observe/local-question.ts';
import { NOT_IN_FORCE, type Problems } from '../words/problems.ts';
import type { FileInForce } from './file-in-force.ts';

/** Where the agent file is read anew. */
export interface AgentFileSource {
  /** As errors name it. */
  readonly name: string;
  /** Throws FileError. */
  readonly read: () => Promise<AgentFile>;
}

/** What takes up the file: the parts of an agent that is a member and carries flows. */
export interface Reloadable {
  readonly problems: Problems;
  /** Resolves when the file, which is in force now, is enforced. */
  readonly enforce: (now: AgentFile) => Promise<void>;
}

export interface ReloadOptions {
  readonly file: FileInForce;
  /** Undefined where the agent was started without a file that can be read again. */
  readonly source: AgentFileSource | undefined;
  /** Throws for a file that no agent could start with. */
  readonly check: (file: AgentFile) => void;
  /** Keys that an option goes before, by key. */
  readonly overridden: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

export class FileReload {
  readonly #options: ReloadOptions;
  /** Resolves with what takes up the file, once there is any. */
  #serving = Promise.withResolvers<Reloadable>();
  #parts: Reloadable | undefined;
  /** The last file that was enforced in full. */
  #enforced: AgentFile;
  #running: Promise<unknown> = Promise.resolve();
  /** Has not begun to read. */
  #waiting: Promise<ReloadAnswer> | undefined;

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#enforced = options.file.current;
  }

  /** From now on this is what takes up the file; one that was asked for before is read now. */
  serve(parts: Reloadable): void {
    this.#parts = parts;
    this.#enforced = this.#options.file.current;
    this.#serving.resolve(parts);
  }

  /** What served is over: who asks waits for what comes next. */
  end(): void {
    if (this.#parts === undefined) return;
    this.#parts = undefined;
    this.#serving = Promise.withResolvers();
  }

  /** One after the other; who asks while another waits for its turn shares it. Rejects with FileError, AgentError or LocalRefusal. */
  ask(): Promise<ReloadAnswer> {
    if (this.#waiting !== undefined) return this.#waiting;
    const next = this.#inTurn();
    this.#waiting = next;
    this.#running = next.catch(() => {});
    return next;
  }

  async #inTurn(): Promise<ReloadAnswer> {
    await this.#running;
    while (this.#parts === undefined) await this.#serving.promise;
    this.#waiting = undefined;
    return await this.#reload(this.#parts);
  }

  async #reload(parts: Reloadable): Promise<ReloadAnswer> {
    const { file, source, check, overridden, logger } = this.#options;
    if (source === undefined) {
      logger.warn({ event: 'not-reloaded', file: '', reason: NO_FILE }, 'there is no agent file to take up');
      throw new LocalRefusal('no-agent-file', NO_FILE);
    }
    const before = this.#enforced;
    const stood = new Set(parts.problems.current.map(problemKey));
    let next: AgentFile;
    try {
      next = await source.read();
      check(next);
    } catch (error) {
      const reason = messageOf(error);
      const message = `${reason}; nothing of it is in force, and what was before is: mend it, then weft reload`;
      parts.problems.raise({ code: 'agent-file', subject: source.name, message });
      logger.warn({ event: 'not-reloaded', file: source.name, reason }, 'the agent file was not taken up');
      throw error;
    }
    parts.problems.clear('agent-file', source.name);
    const changes = fileChanges(before, next).map((change) => ({
      ...change,
      ...defined({ overriddenBy: overridden[change.key] }),
    }));
    // One that failed is enforced again, and so is what it was to replace.
    if (changes.length > 0 || file.current !== this.#enforced) {
      file.replace(next);
      try {
        await parts.enforce(next);
      } catch (err) {
        const message = `it was read, and could not be enforced in full: ${messageOf(err)}; weft reload tries again; if that fails, restart the agent, and report it`;
        parts.problems.raise({ code: 'file-not-enforced', subject: source.name, message });
        logger.error({ event: 'reload-not-enforced', err }, 'the agent file could not be enforced in full');
        throw err;
      }
      this.#enforced = next;
    }
    parts.problems.clear('file-not-enforced', source.name);
    const keys = changes.map(({ key }) => key);
    logger.info({ event: 'reloaded', file: source.name, keys }, 'the agent file was read again');
    // Also what stood before, where the file has less effect by it than it says.
    const problems = parts.problems.current.filter((problem) => {
      return !stood.has(problemKey(problem)) || (NOT_IN_FORCE.has(problem.code) && isBreak(problem));
    });
    return { file: source.name, changes, problems };
  }
}

const NO_FILE =
  'this agent has no agent file to read again: it was started without --config, or with one from stdin; restart it with --config FILE';

function problemKey({ code, subject }: Problem): string {
  return `${code} ${subject}`;
}
