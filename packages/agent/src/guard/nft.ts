/** nft(8), asked one thing at a time. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { mayAccess } from '@weft/proto';
import { GuardError } from './errors.ts';
import { type LoadedTable, readListing, TABLE } from './ruleset.ts';

/** Where the system's administrators have it, whatever the path of who asks: it is run with rights that others have not. */
const FOLDERS: readonly string[] = [
  '/usr/sbin',
  '/sbin',
  '/usr/local/sbin',
  '/usr/bin',
  '/bin',
  '/run/current-system/sw/bin',
];
const ANSWER_MS = 10_000;
const MOST_OUTPUT = 8 << 20;

export interface Nft {
  /** All of it, or nothing. Rejects with GuardError. */
  load(ruleset: string): Promise<void>;
  /** Undefined where there is none. Rejects with GuardError. */
  table(): Promise<LoadedTable | undefined>;
  /** Path of the program. */
  readonly program: string;
}

/** Its path; undefined where there is none. */
export function nftProgram(folders: readonly string[] = FOLDERS): string | undefined {
  return folders.map((folder) => join(folder, 'nft')).find((path) => mayAccess(path, constants.X_OK));
}

/** Throws GuardError where there is none. */
export function findNft(folders: readonly string[] = FOLDERS): Nft {
  const program = nftProgram(folders);
  if (program === undefined)
    throw new GuardError(
      'guard-no-nft',
      'the guard is an nftables table, and there is no nft program here; install it: apt-get install nftables',
    );
  return {
    program,
    load: async (ruleset) => {
      await run(program, ['-f', '-'], ruleset);
    },
    table: async () => {
      try {
        return readListing(await run(program, ['--json', 'list', 'table', ...TABLE.split(' ')]));
      } catch (error) {
        if (error instanceof GuardError && isAbsence(error.cause)) return undefined;
        throw error;
      }
    },
  };
}

/** What nft said, and how it ended. */
class Failed extends Error {
  readonly said: string;
  constructor(said: string) {
    super(said);
    this.said = said;
  }
}

/** The kernel's word for a table that is not there; a kernel without tables says the same of all, and is told apart by a load. */
function isAbsence(cause: unknown): boolean {
  return cause instanceof Failed && /No such file or directory/.test(cause.said);
}

function run(program: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // In English, as its words are read.
    const child = spawn(program, args, { env: { LC_ALL: 'C' }, timeout: ANSWER_MS, stdio: 'pipe' });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (out.length > MOST_OUTPUT) child.kill();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (err.length < 4_096) err += text;
    });
    // It may end before it has read all.
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    child.on('error', (error) => reject(failure(program, error.message)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out);
      else reject(failure(program, err.trim() || `it ended by ${signal ?? `code ${code}`}`));
    });
  });
}

function failure(program: string, said: string): GuardError {
  const options = { cause: new Failed(said) };
  const first = said.split('\n')[0]?.slice(0, 300) ?? '';
  if (/Operation not permitted|must be root|Permission denied/i.test(said))
    return new GuardError(
      'guard-not-permitted',
      `the guard's table may be changed by root alone, or by who has CAP_NET_ADMIN (${first}); run it by sudo, and in a container give it that capability`,
      options,
    );
  if (/netlink socket|not supported|cache initialization failed/i.test(said))
    return new GuardError(
      'guard-no-kernel',
      `this system's kernel has no nf_tables, or not all that the guard needs of it (${first}); see to its modules: modprobe -a nf_tables nft_fib_inet`,
      options,
    );
  return new GuardError('guard-refused', `${program} did not take what it was given: ${first}`, options);
}
