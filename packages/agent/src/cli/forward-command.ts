/** weft forward: ports of this host that lead to services, until it is stopped. */
import { type DestinationName, formatHostPort, isLoopback } from '@weft/proto';
import { checkInside } from '../bytes/self-check.ts';
import { CommandError } from './errors.ts';
import { forwardDatagrams } from './forward-datagrams.ts';
import { type Forwarding, type ForwardSpec, readForward } from './forward-spec.ts';
import { forwardStreams } from './forward-streams.ts';
import { writeJsonLine } from './json.ts';
import { addressHere, type LocalOptions, localStatus } from './local-services.ts';
import { OpenStreams } from './open-streams.ts';
import { nameOf, whyRefused } from './refusal.ts';
import { paintErr, printable, type Terminal } from './terminal.ts';

export interface ForwardOptions extends LocalOptions {
  readonly json?: true;
}

/** The same reason again is told after so long. */
const TELL_AGAIN_MS = 10_000;
/** What the system answers for ::1 where IPv6 is left out of it, or switched off. */
const WITHOUT_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program holds it',
  EACCES: 'this user may not',
  EADDRNOTAVAIL: 'it is no address of this host',
};

/** Ends in order when the signal does. Throws UsageError and CommandError before anything is listened on for long. */
export async function forward(
  specs: readonly string[],
  options: ForwardOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const asked = specs.map(readForward);
  const agent = await localStatus(options, terminal);
  const targets = asked.map((spec) => ({ spec, host: addressHere(agent, spec.called) }));
  await checkInside();
  const stop = new AbortController();
  const ends = AbortSignal.any([signal, stop.signal]);
  const ended = new Promise<void>((resolve) => ends.addEventListener('abort', () => resolve(), { once: true }));
  try {
    const forwards = [];
    const open = new OpenStreams(ends);
    for (const { spec, host } of targets) {
      const to = { host, port: spec.called.port };
      const broken = tellOnce(spec, agent.host, options, terminal);
      forwards.push({ spec, listening: await listen(spec, { to, signal: ends, open, now: terminal.now, broken }) });
    }
    tell(forwards, options, terminal);
    if (!signal.aborted) await ended;
  } finally {
    stop.abort();
  }
}

type Listening = readonly { readonly address: string; readonly port: number }[];

async function listen(spec: ForwardSpec, rest: Omit<Forwarding, 'host' | 'port'>): Promise<Listening> {
  const listenOn = spec.called.protocol === 'udp' ? forwardDatagrams : forwardStreams;
  const hosts = spec.address === undefined ? ['127.0.0.1', '::1'] : [spec.address];
  const listening: { address: string; port: number }[] = [];
  for (const host of hosts) {
    const port = listening[0]?.port ?? spec.port;
    try {
      listening.push({ address: host, port: await listenOn({ ...rest, host, port }) });
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      if (listening.length > 0 && WITHOUT_IPV6.has(code)) continue;
      const reason = REASONS[code];
      const words = reason === undefined ? message : `${reason} (${code})`;
      throw new CommandError(
        'cannot-listen',
        `cannot listen on ${formatHostPort(host, port)}: ${words}; name another local port, or any that is free: 0:${nameOf(spec.called)}`,
        { cause },
      );
    }
  }
  return listening;
}

function tell(
  forwards: readonly { readonly spec: ForwardSpec; readonly listening: Listening }[],
  options: ForwardOptions,
  terminal: Terminal,
): void {
  if (options.json !== undefined) {
    writeJsonLine(terminal, 'forward', {
      forwards: forwards.map(({ spec, listening }) => ({ ...spec.called, listening })),
    });
  }
  for (const { spec, listening } of forwards) {
    const where = listening.map(({ address, port }) => formatHostPort(address, port)).join(' and ');
    if (options.json === undefined)
      terminal.out(`${where} lead${listening.length === 1 ? 's' : ''} to ${nameOf(spec.called)}\n`);
    if (spec.address !== undefined && !isLoopback(spec.address)) {
      const note = `${paintErr(terminal, 'yellow', 'warning')}: whoever reaches ${where}, from other hosts too, calls ${nameOf(spec.called)} as a program of this host does`;
      terminal.err(`${note}\n`);
    }
  }
  terminal.err(
    'note: each user of this host may call these ports, and calls as the programs of this host do; Ctrl-C ends them\n',
  );
}

/** The other host has it recorded, or nothing is owed. */
function silence(called: DestinationName, host: string): Error {
  const name = nameOf(called);
  return new Error(
    `nothing comes back from ${name}; where it is to answer, weft explain host:${host} ${name} says where it breaks`,
  );
}

/** Tells why calls come to nothing: one look at a time, and the same reason not at each. */
function tellOnce(
  { called }: ForwardSpec,
  host: string,
  options: ForwardOptions,
  terminal: Terminal,
): Forwarding['broken'] {
  let looking = false;
  /** Not every service answers datagrams, so that this is told once. */
  let hint = called.protocol === 'udp' ? silence(called, host) : undefined;
  let told = { words: '', atMs: 0 };
  const look = async (sinceMs: number): Promise<void> => {
    const known = await whyRefused(called, sinceMs, options, terminal).catch((error: Error) => error);
    const why = known ?? hint;
    if (known === undefined) hint = undefined;
    const atMs = terminal.now();
    if (why === undefined || (why.message === told.words && atMs - told.atMs < TELL_AGAIN_MS)) return;
    told = { words: why.message, atMs };
    terminal.err(`${printable(why.message)}\n`);
  };
  return (sinceMs) => {
    if (looking) return;
    looking = true;
    void look(sinceMs).finally(() => {
      looking = false;
    });
  };
}
