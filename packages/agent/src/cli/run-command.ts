/**
 * weft run: a program that sees nothing but the network. It asks the agent, then becomes the supervisor of the sandbox, a small
 * Perl program: a hundred of them fit where a hundred of Node would not.
 */
import { access, constants, readFile } from 'node:fs/promises';
import { isAbsent, messageOf, parsePort } from '@weft/proto';
import { PERL } from '../owner/diagnosis.ts';
import { type Granted, type Wanted, writeWanted } from '../sandbox/lines.ts';
import { SUPERVISOR } from '../sandbox/perl/supervisor.ts';
import { ROOT_REFUSED } from '../sandbox/rights.ts';
import { variablesOf } from './env-command.ts';
import { CommandError } from './errors.ts';
import { askForSandbox, findAgent } from './run-ask.ts';
import { readEgress, requireFilter, rulesFor } from './run-egress.ts';
import { type RunOptions, readMovedPorts, readServiceName, undeclaredWords } from './run-options.ts';
import { type Terminal, warn } from './terminal.ts';

/** Whose system calls the supervisor knows. */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

/** Does not return: this process is the supervisor from then on. Throws UsageError and CommandError. */
export async function runInSandbox(
  command: readonly string[],
  options: RunOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<never> {
  const wanted: Wanted = {
    service: readServiceName(options.service),
    egress: readEgress(options),
    ports: readMovedPorts(options.port ?? []),
  };
  await requireSystem();
  if (process.getuid?.() === 0) throw new CommandError('sandbox-refused', ROOT_REFUSED);
  const nft = wanted.egress === undefined ? '' : requireFilter();
  const socket = await findAgent(options, terminal);
  const granted = await askForSandbox(socket, wanted, signal);
  const undeclared = undeclaredWords(wanted.service, granted.ports, wanted.ports);
  if (undeclared !== undefined) warn(terminal, undeclared);
  const { kept, passed } = environmentOf(granted, wanted, terminal.env);
  const [range, prefix] = granted.range.split('/');
  const facts = {
    service: wanted.service,
    name: ownName(wanted.service),
    range,
    prefix,
    egress: wanted.egress === undefined ? '' : rulesFor(wanted.egress, granted),
    nft,
    ports: insidePorts(granted, wanted),
    socket,
    hello: writeWanted(wanted),
    files: await filesOfParent(),
  };
  const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
  const hidden = granted.hide.map((path) => `hide=${path}`);
  const args = ['weft-run', '-e', SUPERVISOR, process.arch, ...told, ...hidden, ...passed, '--', ...command];
  process.execve?.(PERL, args, kept);
  throw new CommandError(
    'cannot-become',
    'this Node cannot become another program; run weft on the Node that it names as supported',
  );
}

/** What the host is called inside, where that name leads to the sandbox itself. No service's begins with a digit: each leads to its VIP, its own too. */
function ownName(service: string): string {
  return `0-${service}`;
}

async function requireSystem(): Promise<void> {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch))
    throw new CommandError(
      'no-sandboxes',
      `sandboxes are made of Linux namespaces, on x86_64 and aarch64; this is ${process.platform} on ${process.arch}`,
    );
  try {
    await access(PERL, constants.X_OK);
  } catch (cause) {
    const why = isAbsent(PERL) ? 'is missing' : `cannot be run (${messageOf(cause)})`;
    throw new CommandError(
      'no-perl',
      `${PERL}, which supervises sandboxes, ${why}; install it: apt-get install perl-base`,
      { cause },
    );
  }
}

/**
 * What the program finds in its environment: what is there already, and of what is not: where services are, as `weft env` has it,
 * and what it runs as. What would move Perl itself, and the
 * language that it would miss aloud where the host has not made it, goes around it.
 */
function environmentOf(
  { network, host, services, ports }: Granted,
  { service, ports: moved }: Wanted,
  env: Terminal['env'],
): { readonly kept: Record<string, string>; readonly passed: readonly string[] } {
  const [own] = ports.map(parsePort).filter(({ protocol }) => protocol === 'tcp');
  const all: Record<string, string | undefined> = {
    ...Object.fromEntries(
      services.flatMap(({ name, address, ports: declared }) =>
        variablesOf({ service: name, address, ports: declared.map(parsePort) }),
      ),
    ),
    ...(own === undefined ? {} : { PORT: String(moved.get(own.first) ?? own.first) }),
    WEFT_HOST: host,
    WEFT_NETWORK: network,
    ...env,
    WEFT_SERVICE: service,
  };
  const kept: Record<string, string> = {};
  const passed: string[] = [];
  for (const [name, value] of Object.entries(all)) {
    if (value === undefined) continue;
    if (/^(?:PERL|LANG|LC_)/.test(name)) passed.push(`environment=${name}=${value}`);
    else kept[name] = value;
  }
  return { kept, passed };
}

/** Where its program listens for what others call, as `3000,8000-8099`. */
function insidePorts({ ports }: Granted, { ports: moved }: Wanted): string {
  return ports
    .map(parsePort)
    .map(({ first, last }) => (first === last ? String(moved.get(first) ?? first) : `${first}-${last}`))
    .concat([...moved.values()].map(String))
    .join(',');
}

/** How many files whoever started this may have open: Node raises its own limit, and programs take theirs from it. */
async function filesOfParent(): Promise<string> {
  const limits = await readFile(`/proc/${process.ppid}/limits`, 'latin1').catch(() => '');
  return /^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? '';
}
