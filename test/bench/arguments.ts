/** The command line. */
import { parseArgs } from 'node:util';
import { parsePeerPaths } from './programs.ts';
import type { Length } from './types.ts';
import { UsageError } from './usage.ts';

export interface Arguments {
  readonly quick: boolean;
  readonly rounds: number;
  readonly length: Length;
  readonly only: readonly string[] | undefined;
  readonly peers: readonly string[] | undefined;
  /** Where peers' programs are that are not to be looked for on $PATH, by program. */
  readonly programs: ReadonlyMap<string, string>;
  readonly json: string | undefined;
  readonly workers: string | undefined;
  /** Another checkout of Weft, built: the peer `before`. */
  readonly before: string | undefined;
  readonly loopback: boolean;
  /** With 10,000 processes and 50,000 sockets beside the load. */
  readonly largeHost: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]

Weft beside its peers, by the same works, in the same run; then its bounds in absolute terms.

  --quick            one round of short works, under two minutes, no bounds nor surveys
  --rounds <N>       rounds (default: 3)
  --only <NAME,..>   these works, bounds and surveys
  --peers <PEER,..>  these peers, and no bounds nor surveys
  --peer <NAME=PATH> that peer's program, instead of what is on $PATH; may be given for several
  --workers <N>      handed on to weft up
  --before <FOLDER>  another checkout of Weft, set up: one peer more, before
  --json <FILE>      writes everything measured to FILE
  --loopback         all on this machine's loopback, even where hosts could be made
  --large-host       with 10,000 processes and 50,000 sockets beside the callers, of their user
  --list             what works, bounds, surveys, peers and targets there are
  -h, --help         this
`;

/** More rounds say more than longer ones: what else the machine does changes by the minute. */
const FULL: Length = { seconds: 2, aim: 2 };
const QUICK: Length = { seconds: 1, aim: 0.3 };
/** Every round has its 8,000 connections to one port: more rounds would only wait for ports. */
const MOST_ROUNDS = 50;

export function parseArguments(argv: readonly string[]): Arguments {
  const { values } = parse(argv);
  const { quick = false, only, peers, workers } = values;
  const rounds = Number(values.rounds ?? (quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS) {
    throw new UsageError(`--rounds: expected 1 to ${MOST_ROUNDS}, got ${values.rounds}`);
  }
  return {
    quick,
    rounds,
    length: quick ? QUICK : FULL,
    only: only?.split(','),
    peers: peers?.split(','),
    programs: parsePeerPaths(values.peer ?? []),
    json: values.json,
    workers,
    before: values.before,
    loopback: values.loopback ?? false,
    largeHost: values['large-host'] ?? false,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        peers: { type: 'string' },
        peer: { type: 'string', multiple: true },
        workers: { type: 'string' },
        before: { type: 'string' },
        json: { type: 'string' },
        loopback: { type: 'boolean' },
        'large-host': { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** Those of the names that were asked for, in the order that there is. */
export function chosen<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  const unknown = names?.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new UsageError(`no ${what} is called ${unknown}; there are: ${all.map((one) => one.name).join(', ')}`);
  }
  return names === undefined ? all : all.filter((one) => names.includes(one.name));
}
