/**
 * The commands, their options and their help. What each does stands in its own file, loaded when the command is given: an
 * agent runs for months, and would keep the code of every other command with it.
 */

import { escapeUnseen, FLOW_NAME_FILTERS, VERSION } from '@weft/proto';
import { Command, Option } from 'commander';
import { holdOptimizers } from '../run/optimizers.ts';
import type { ExitCode } from './errors.ts';
import { failureOf, tellFailure, toldAs } from './failure.ts';
import { hostProgram } from './host-program.ts';
import { meshProgram } from './mesh-program.ts';
import { admin, json as asJson, data, example, leaveBehind, network, networkFromEnvironment, wide } from './options.ts';
import type { Terminal } from './terminal.ts';

const LONGEST_START_MS = 30_000;

/** Only these load topics, and what completes, which makes a table of its own out of the commands. */
const HELPING: ReadonlySet<string> = new Set(['completion', 'complete', 'help', '--help', '-h']);

/** Runs one command line, without node and script, and answers with the exit code. The signal stops it. */
export async function run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<ExitCode> {
  const told = toldAs(args);
  let code: ExitCode = 0;
  const program = build(terminal, signal, told.json, (next) => {
    code = next;
  });
  try {
    const first = args[0] ?? '--help';
    if (HELPING.has(first)) (await import('./help-program.ts')).helpProgram(program, terminal, first === 'complete');
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    const failure = failureOf(error, terminal.env, signal);
    if (failure.code !== 0) tellFailure(failure, told, terminal);
    return failure.code;
  }
}

export function build(terminal: Terminal, signal: AbortSignal, json: boolean, exit: (code: ExitCode) => void): Command {
  const program = new Command('weft')
    .description('A private network for services on any set of hosts, wholly in user space.')
    .version(VERSION)
    .exitOverride()
    // Its own, which knows topics, is there when it is asked for.
    .helpCommand(false)
    // With what each takes beside it, a terminal of 80 columns has no room for what it does.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      // As JSON it is told below, once.
      writeErr: (text) => {
        if (!json) terminal.err(text);
      },
      // A word of the command line may hold what a terminal would obey.
      outputError: (text, write) => write(escapeUnseen(text)),
      getOutHasColors: () => terminal.outColors,
      getErrHasColors: () => terminal.errColors,
    })
    .hook('preAction', (_, command) => networkFromEnvironment(command, terminal.env))
    .showHelpAfterError('(add --help for the options and an example)');
  example(program, 'weft token create --network prod --services redis', 'weft up --join-file token --config weft.yaml');

  const versioned = program
    .command('version')
    .description('the version of this program, and the commit that it was built of')
    .action(() => terminal.out(`${VERSION}\n`));
  example(versioned, 'weft version');

  const token = program.command('token').description('join tokens');
  example(token, 'weft token list --network prod');
  const create = admin(token.command('create').description('make a join token; it alone is printed'))
    .addOption(network())
    .option(
      '--services <NAMES>',
      'services that a host may run with it, with commas between, or given again; none when left away',
      (names: string, before: string | undefined) => (before === undefined ? names : `${before},${names}`),
    )
    .option('--host <NAME>', 'the one host that it is good for, and its name; otherwise a host goes by its own')
    .option('--new-network', 'make the network, empty, where there is none of that name; weft apply makes one too')
    .option('--gateway', 'the host may be a gateway')
    .option('--reusable', 'may be used more than once')
    .option('--ephemeral', 'hosts that join with it are forgotten when they go away')
    .option('--ttl <DURATION>', 'how long it may be used, such as 1h or 7d', '1h')
    .addOption(asJson())
    .action(async (options) => (await import('./token-command.ts')).tokenCreate(options, terminal, signal));
  example(create, 'weft token create --network prod --services redis,web --ttl 1h');
  const list = admin(token.command('list').description('list tokens, without their secrets'))
    .addOption(network())
    .option('--all', 'also those that nobody new could join with for more than a day, as long as control keeps them')
    .addOption(wide())
    .addOption(asJson())
    .action(async (options) => (await import('./token-command.ts')).tokenList(options, terminal, signal));
  example(list, 'weft token list --network prod --json');
  const replace = admin(
    token
      .command('replace')
      .description('make a token in the place of one that leaked, which admits nobody from then on; its hosts stay'),
  )
    .argument('<id>', 'identifier from weft token list')
    .option('--ttl <DURATION>', 'how long the new one may be used; as long as the one before when left away')
    .addOption(asJson())
    .action(async (id, options) => (await import('./token-command.ts')).tokenReplace(id, options, terminal, signal));
  example(replace, 'weft token replace tk_74fd09c2be51a83d > token.txt');
  const end = admin(token.command('revoke').description('end a token, and the hosts that came by it'))
    .argument('<id>', 'identifier from weft token list')
    .addOption(asJson())
    .action(async (id, options) => (await import('./token-command.ts')).tokenRevoke(id, options, terminal, signal));
  example(end, 'weft token revoke tk_74fd09c2be51a83d');

  meshProgram(program, terminal, signal, exit);

  const starting = program
    .command('up')
    .description('run the agent of this host')
    .option('--join <TOKEN>', 'join token; needed at the first start only, and better kept out of the process list')
    .option('--join-file <FILE>', 'file that holds the join token; WEFT_JOIN is read when neither is given')
    .option('--config <FILE>', 'the agent file: what runs on this host')
    .option('--control <HOST:PORT>', 'where control is looked for before what the join token said')
    .option('--data <DIR>', 'where keys and state are kept')
    .option('--tunnel <HOST:PORT>', 'where other agents connect, TCP and UDP', '[::]:7410')
    .option('--advertise <HOST:PORT>', 'where other agents reach --tunnel, when it is not an address of this host')
    .option('--dns <HOST:PORT>', 'where names are answered', '127.0.0.1:7453')
    .option('--dns-upstream <ADDRESS...>', 'who answers names outside internal, instead of what resolv.conf says')
    .option(
      '--vip-range <CIDR>',
      'range of its own: within 127.0.0.0/8, or one that root has made local, such as 100.80.0.0/12',
    )
    .option(
      '--workers <N>',
      'threads that carry flows, at most one a core; each beyond the first takes 11 MiB at rest and 25 to 35 at work, and with more than one weft run takes workers alone; auto: one, and a second while bulk moves',
      'auto',
    )
    .option(
      '--no-native',
      'do without node:ffi, which is experimental, where Node brings it: each datagram by a call of its own, each record by node:crypto, and the kernel asked for callers by a Perl program',
    )
    .option(
      '--run-socket <PATH>',
      'where weft run of this host finds the agent, whoever its user is; run.sock in --data, or where systemd says',
    )
    .option('--metrics <HOST:PORT>', 'serve metrics for Prometheus there; off unless given')
    .option(
      '--drain <DURATION>',
      'how long a stop lets open flows finish, while calls go to other instances; 0 for not at all',
      '3s',
    )
    .action(async (options) => {
      // What starting compiles does not run again.
      const release = holdOptimizers();
      const { up } = await import('./up-command.ts');
      // An agent that waits for control answers names meanwhile.
      setTimeout(release, LONGEST_START_MS).unref();
      await up(options, terminal, signal, release);
    });
  example(starting, 'weft up --join-file token --config weft.yaml', 'weft up');

  const status = admin(program.command('status').description('how this host and control fare, and how fresh that is'))
    .addOption(network())
    .addOption(data())
    .addOption(wide())
    .addOption(asJson())
    .action(async (options) => exit(await (await import('./status-command.ts')).showStatus(options, terminal, signal)));
  example(status, 'weft status');

  const pinging = admin(
    program.command('ping').description('the way to another host as it is now, through the agent here'),
  )
    .argument('<host>', "the host's name")
    .option('--count <NUMBER>', 'how often', '4')
    .addOption(network())
    .addOption(data())
    .addOption(asJson())
    .action(async (host, options) =>
      exit(await (await import('./ping-command.ts')).ping(host, options, terminal, signal)),
    );
  example(pinging, 'weft ping data-1', 'weft ping data-1 --count 1 --json');

  hostProgram(program, terminal, signal, exit);

  const listServices = admin(program.command('services').description('list services and their instances'))
    .addOption(network())
    .addOption(wide())
    .addOption(data())
    .addOption(asJson())
    .action(async (options) => (await import('./listing-commands.ts')).services(options, terminal, signal));
  example(listServices, 'weft services --network prod');

  const listAgents = admin(program.command('agents').description('list hosts and how far each is with enforcing'))
    .addOption(network())
    .addOption(wide())
    .addOption(asJson())
    .action(async (options) => (await import('./listing-commands.ts')).agents(options, terminal, signal));
  example(listAgents, 'weft agents --json');
  const renaming = admin(
    listAgents.command('rename').description('give a host another name; its identity, keys and flows stay'),
  )
    .argument('<agent>', "host's name or agent's identifier")
    .argument('<name>', 'the new name')
    .addOption(network())
    .addOption(asJson())
    // Options that both commands take are the listing's to whoever reads the line.
    .action(async (agent, host, _own, command: Command) =>
      (await import('./rename-command.ts')).renameAgent(agent, host, command.optsWithGlobals(), terminal, signal),
    );
  example(renaming, 'weft agents rename build-3 data-1 --network prod');

  const watching: Command = admin(
    program.command('flows').description('list flows that ended, oldest first, or those that are open'),
  )
    .addOption(network())
    .option('--from <SOURCE>', 'only those of this caller: a service, host:NAME or internet')
    .option('--to <SERVICE[:PORT]>', 'only those to this service')
    .option('--host <NAME>', 'only those with this host at either end')
    .option('--denied', 'only those that were denied');
  for (const name of FLOW_NAME_FILTERS) watching.option(`--${name} <NAME>`, `only those of this ${name}`);
  watching
    .option('--outcome <OUTCOME>', 'only those that ended like this, such as closed, cut or unreachable')
    .option('--text <TEXT>', 'only those with this in any name, rule, outcome or detail')
    .option('--since <DURATION|TIME>', 'only those that ended since, such as 15m or 2026-03-01T12:30')
    .option('--until <DURATION|TIME>', 'only those that ended before')
    .option('--id <ID>', 'the one flow of this identifier')
    .option('--follow', 'stay, and print each as it ends')
    .option('--open', 'those that are open now, as their hosts tell; with --from, --to and --host')
    .option('--limit <NUMBER>', 'how many of the past to begin with; 100 when left out')
    .addOption(wide())
    .addOption(data())
    .addOption(new Option('--json', 'print one JSON object a line; nothing when there are none'))
    .action(async (options) => (await import('./flows-command.ts')).flows(options, terminal, signal));
  example(
    watching,
    'weft flows --denied --follow',
    'weft flows --from web --to redis:6379 --since 15m',
    'weft flows --open',
  );

  const explaining = admin(program.command('explain').description('the verdict on a flow, and where it would break'))
    .argument('[from]', "a service, host:NAME or internet; of this host's agent also user:NAME")
    .argument('[to]', 'SERVICE:PORT or SERVICE:PORT/udp')
    .option('--pid <PID>', 'in place of FROM: that process of this host, as its agent would know it if it called')
    .addOption(network())
    .addOption(data())
    .addOption(asJson())
    .action(async (from, to, options) =>
      exit(await (await import('./explain-command.ts')).explain([from, to], options, terminal, signal)),
    );
  example(
    explaining,
    'weft explain web redis:6379',
    'weft explain host:build-3 statsd:8125/udp',
    'weft explain --pid 4711 redis:6379',
  );

  const granting = admin(program.command('grant').description('let a host run more, or less, while it runs'))
    .argument('<agent>', "host's name or agent's identifier")
    .requiredOption('--services <NAMES>', 'services with commas between, kind:KIND, or * for all')
    .option('--take', 'take them away: flows of them that the host carries are cut, and no others')
    .addOption(
      leaveBehind(
        'also where the host is of an older version: what denies the service is lost between it and others such',
      ),
    )
    .addOption(network())
    .addOption(asJson())
    .action(async (agent, options) => (await import('./grant-command.ts')).grant(agent, options, terminal, signal));
  example(granting, 'weft grant data-1 --services rabbit', 'weft grant data-1 --services rabbit --take');

  const revoking = admin(program.command('revoke').description('end the membership of a host; its flows are cut'))
    .argument('<agent>', "host's name or agent's identifier")
    .option('--with-token', 'revoke the tokens that it joined with too, and end every host that came by one of them')
    .addOption(network())
    .addOption(asJson())
    .action(async (agent, options) =>
      (await import('./token-command.ts')).revokeAgent(agent, options, terminal, signal),
    );
  example(revoking, 'weft revoke build-3 --network prod', 'weft revoke ag_5b0e7f21c94d6a38');
  return program;
}
