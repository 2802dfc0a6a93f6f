/** Takes up a changed agent file while the agent runs: whole, or not at all. */
import { defined, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { AgentFile } from '../config/agent-file.ts';
import { fileChanges } from '../config/file-changes.ts';
import { LocalRefusal } from '../observe/errors.ts';
import type { ReloadAnswer } from '../observe/local-question.ts';
import type { Problems } from '../words/problems.ts';
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
  /** Resolves when what is in force now is enforced. */
  readonly enforce: (before: AgentFile, now: AgentFile) => Promise<void>;
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
  readonly #serving = Promise.withResolvers<void>();
  #parts: Reloadable | undefined;
  #running: Promise<unknown> = Promise.resolve();
  /** Has not begun to read. */
  #waiting: Promise<ReloadAnswer> | undefined;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** From now on this is what takes up the file; one that was asked for before is read now. */
  serve(parts: Reloadable): void {
    this.#parts = parts;
    this.#serving.resolve();
  }

  /** One after the other; who asks while another waits for its turn shares it. Rejects with FileError, AgentError or LocalRefusal. */
  ask(): Promise<ReloadAnswer> {
    if (this.#waiting !== undefined) return this.#waiting;
    const next = Promise.all([this.#running, this.#serving.promise]).then(() => {
      this.#waiting = undefined;
      return this.#reload();
    });
    this.#waiting = next;
    this.#running = next.catch(() => {});
    return next;
  }

  async #reload(): Promise<ReloadAnswer> {
    const { file, source, check, overridden, logger } = this.#options;
    const parts = this.#parts;
    if (source === undefined || parts === undefined)
      throw new LocalRefusal(
        'no-agent-file',
        'this agent has no agent file to read again: it was started without --config, or with one from stdin; restart it with --config FILE',
      );
    const before = file.current;
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
    if (changes.length > 0) {
      file.replace(next);
      try {
        await parts.enforce(before, next);
      } catch (err) {
        logger.error({ event: 'reload-not-enforced', err }, 'the agent file could not be enforced in full');
        throw err;
      }
    }
    const keys = changes.map(({ key }) => key);
    logger.info({ event: 'reloaded', file: source.name, keys }, 'the agent file was read again');
    return { file: source.name, changes };
  }
}
