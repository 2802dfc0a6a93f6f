/** Asking the agent of this host, over the socket in its directory. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { lockState } from '@weft/proto/files';
import type { AgentStatus } from './agent-status.ts';
import { StatusSocketError } from './errors.ts';
import { fromFailure, type LocalFailure, type LocalQuestion } from './local-question.ts';

const STATUS_TIMEOUT_MS = 3_000;
/** Far more than a status takes; whatever answers there is not trusted to stop. */
const MAX_BYTES = 16 << 20;

const NO_SOCKET =
  'it runs, and its socket is not there: it is still starting, or waits for control to join, or may not write to its directory; ' +
  'see its log, and who may write there';

const NOT_TOLD =
  'its socket is not there, and agent.lock beside it, which tells whether one runs, cannot be read; ask as the user who runs it, or as root';

/** The running agent's status, or undefined when none runs in the directory. Rejects with StatusSocketError when one does and cannot be asked. */
export function readLocalStatus(directory: string): Promise<AgentStatus | undefined> {
  return askAgent<AgentStatus>(directory, { ask: 'status' }, STATUS_TIMEOUT_MS);
}

/** The same of any question. Rejects also with what the agent says went wrong, FileError, or CodedError with its code, and as the signal does. */
export function askAgent<Answer extends object>(
  directory: string,
  question: LocalQuestion,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  const path = join(directory, 'agent.sock');
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const pieces: Buffer[] = [];
    let length = 0;
    const fail = (reason: string, options?: ErrorOptions) => {
      socket.destroy();
      reject(new StatusSocketError('status-unreadable', `the agent at ${path} cannot be asked: ${reason}`, options));
    };
    const socket = connect(path);
    const stop = () => {
      socket.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
    socket.on('close', () => signal?.removeEventListener('abort', stop));
    socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs / 1_000} s`));
    socket.end(`${JSON.stringify(question)}\n`);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // No file, or one that a killed agent left: none runs, or one that has no socket.
      const none = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR';
      if (error.code === 'EACCES') fail(`${error.message}; ask as the user who runs it`, { cause: error });
      else if (!none) fail(error.message, { cause: error });
      else {
        const lock = lockState(directory, 'agent');
        if (lock === 'free') resolve(undefined);
        else fail(lock === 'held' ? NO_SOCKET : NOT_TOLD, { cause: error });
      }
    });
    socket.on('data', (piece) => {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_BYTES) fail('its answer does not end');
    });
    socket.on('end', () => {
      if (length === 0) {
        fail('it closed without an answer, as one does that too many ask at once, or that ends; ask again');
        return;
      }
      let answer: Answer | LocalFailure | null;
      try {
        answer = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Answer | LocalFailure | null;
      } catch (cause) {
        fail('its answer is not JSON', { cause });
        return;
      }
      if (typeof answer !== 'object' || answer === null) fail('its answer is no JSON object');
      else if ('error' in answer) reject(fromFailure(answer));
      else resolve(answer);
    });
  });
}
