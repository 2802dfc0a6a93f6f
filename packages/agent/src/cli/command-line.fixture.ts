import { mkdtempSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { encodeAdminToken } from '@weft/proto';
import type { AdminHandlers } from '@weft/proto/wire';
import { afterAll, afterEach } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { run } from './program.ts';
import { answering, checkAnswer } from './schemas/answer.fixture.ts';
import type { Bytes } from './terminal.ts';

export const NOW = Date.UTC(2026, 2, 1, 12);
export const SECRET = 'a'.repeat(43);
const keys = makeTestKeys();

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Surroundings {
  readonly env?: Record<string, string>;
  readonly answer?: string;
  readonly signal?: AbortSignal;
  readonly columns?: number;
  /** What goes through a command; as text, all that stdin has. */
  readonly input?: string | Bytes;
  /** Gets what is said as it comes. */
  readonly said?: { out: string; err: string };
}

/** Whatever a test is about, what it gets as JSON is as the schemas say. */
function checkAnswers(args: readonly string[], { out, err }: Surroundings['said'] & object): void {
  const command = answering(args);
  const texts = command === 'flows' ? out.split('\n').filter(Boolean) : [out].filter(Boolean);
  if (command !== undefined) for (const text of texts) checkAnswer(command, text);
  const failure = err.split('\n').find((line) => line.startsWith('{"version"'));
  if (failure !== undefined) checkAnswer('error', failure);
}

/** The commands as a user has them, in a home of their own, with a control that answers as the test at hand says. */
export function commandLine() {
  const directory = mkdtempSync(join(tmpdir(), 'weft-cli-'));
  const adminToken = join(directory, 'admin.token');
  let control: FakeControl | undefined;
  afterAll(() => rm(directory, { recursive: true }));
  afterEach(() => {
    control?.close();
    control = undefined;
  });

  const weft = (...args: readonly string[]): Promise<Outcome> => weftWith({}, ...args);

  /** With more of an environment, or a person who answers questions. */
  async function weftWith(
    {
      env: more,
      answer,
      columns,
      input = '',
      signal = new AbortController().signal,
      said = { out: '', err: '' },
    }: Surroundings,
    ...args: readonly string[]
  ): Promise<Outcome> {
    const env = {
      HOME: directory,
      WEFT_CONTROL: control?.address ?? '127.0.0.1:1',
      WEFT_ADMIN_TOKEN_FILE: adminToken,
      ...more,
    };
    const terminal = {
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      outColors: false,
      errColors: false,
      columns,
      env,
      now: () => NOW,
      bytes: () => {
        if (typeof input !== 'string') return input;
        const output = new PassThrough().setEncoding('utf8');
        output.on('data', (text: string) => {
          said.out += text;
        });
        return { input: Readable.from([Buffer.from(input)]), output };
      },
      ...(answer !== undefined && {
        ask: (question: string) => {
          said.err += question;
          return Promise.resolve(answer);
        },
      }),
    };
    const code = await run(args, terminal, signal);
    if (args.includes('--json')) checkAnswers(args, said);
    return { code, ...said };
  }

  async function file(name: string, content: string, mode = 0o600): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, content, { mode });
    await chmod(path, mode);
    return path;
  }

  /** Starts control with these handlers and keeps its admin token where the commands find it. */
  async function serve(admin: Partial<AdminHandlers>): Promise<FakeControl> {
    control = await startFakeControl({ admin, keys });
    await file('admin.token', `${encodeAdminToken({ pin: control.pin, secret: SECRET })}\n`);
    return control;
  }

  const noToken = (): Promise<void> => rm(adminToken, { force: true });

  return { directory, weft, weftWith, file, serve, noToken };
}
