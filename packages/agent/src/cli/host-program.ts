/** The commands that ask the agent of this host: whether the host is right, a service's bytes, local ports that lead to it, its address; to read its file again. */
import { type Command, Option } from 'commander';
import type { ExitCode } from './errors.ts';
import { data, ENV_FORMATS, example, json } from './options.ts';
import type { Terminal } from './terminal.ts';

export function hostProgram(
  program: Command,
  terminal: Terminal,
  signal: AbortSignal,
  exit: (code: ExitCode) => void,
): void {
  const checking = program
    .command('check')
    .description('whether this host is right, and what to do where it is not; exit code 4 when something is broken')
    .addOption(data())
    .addOption(json())
    .action(async (options) => exit(await (await import('./check-command.ts')).check(options, terminal, signal)));
  example(checking, 'weft check', 'weft check --json');

  const connecting = program
    .command('connect')
    .description('stdin and stdout to a service, as a program of this host calls it')
    .argument('<service:port>', 'such as redis:6379')
    .addOption(data())
    .action(async (to, options) => (await import('./connect-command.ts')).connect(to, options, terminal, signal));
  example(connecting, 'weft connect redis:6379', "ssh -o ProxyCommand='weft connect git:22' git@git");

  const forwarding = program
    .command('forward')
    .description('listen on local ports that lead to services, until Ctrl-C')
    .argument(
      '<[local:]service:port...>',
      'such as redis:6379, 16379:redis:6379 or statsd:8125/udp; on loopback, unless an address stands before the local port',
    )
    .addOption(data())
    .addOption(json())
    .action(async (specs, options) => (await import('./forward-command.ts')).forward(specs, options, terminal, signal));
  example(forwarding, 'weft forward redis:6379', 'weft forward 15672:rabbit:15672 statsd:8125/udp');

  const reloading = program
    .command('reload')
    .description(
      'have the agent of this host take up its changed file, without a restart; exit code 1 where a part of it could not be put in force',
    )
    .addOption(data())
    .addOption(json())
    .action(async (options) => exit(await (await import('./reload-command.ts')).reload(options, terminal, signal)));
  example(reloading, 'weft reload');

  const shutting = program
    .command('run')
    .description('run a program that sees nothing but the network, and calls as a service of it')
    .argument('<command...>', 'behind --, with what it takes')
    .requiredOption('--service <NAME>', 'what it calls as')
    .option('--egress', 'also let it reach the internet, but neither this host nor its networks')
    .option(
      '--egress-to <CIDR[:PORTS]>',
      'also let it reach this range, such as 10.0.0.0/8:443/tcp; may be repeated',
      (range: string, before: readonly string[] = []) => [...before, range],
    )
    .option(
      '--port <DECLARED=INSIDE>',
      'where the program listens for a declared port, when not there; may be repeated',
      (pair: string, before: readonly string[] = []) => [...before, pair],
    )
    .addOption(new Option('--run-socket <PATH>', 'where the agent takes sandboxes, as weft up --run-socket says it'))
    .addOption(data())
    .action(async (command, options) =>
      (await import('./run-command.ts')).runInSandbox(command, options, terminal, signal),
    );
  example(shutting, 'weft run --service web -- node server.js', 'weft run --service mailer -- bash');

  guarding(program, terminal, signal, exit);

  const telling = program
    .command('env')
    .description("print where services are, as variables of a program's environment")
    .argument('[service]', 'the one; all that this host reaches when left away')
    .addOption(new Option('--format <FORMAT>', 'dotenv when left away').choices(ENV_FORMATS))
    .addOption(data())
    .addOption(json())
    .action(async (service, options) => (await import('./env-command.ts')).env(service, options, terminal));
  example(telling, 'weft env redis >> .env', 'eval "$(weft env --format shell)"');
}

function guarding(program: Command, terminal: Terminal, signal: AbortSignal, exit: (code: ExitCode) => void): void {
  const guard = program.command('guard').description('close, as root, what others reach of this host past Weft');
  const dryRun = (what: string) => new Option('--dry-run', `print what nft would be given, and ${what} nothing`);

  const on = guard
    .command('on')
    .description("close it, by an nftables table of Weft's own, and from now on")
    .addOption(dryRun('close'))
    .addOption(data())
    .action(async (options) => (await import('./guard-command.ts')).guardOn(options, terminal, signal));
  example(on, 'sudo weft guard on', 'weft guard on --dry-run');

  const off = guard
    .command('off')
    .description('take the table away, and all that it closed')
    .addOption(dryRun('open'))
    .addOption(data())
    .action(async (options) => (await import('./guard-command.ts')).guardOff(options, terminal, signal));
  example(off, 'sudo weft guard off');

  const telling = guard
    .command('status')
    .description('what is closed; exit code 3 where the guard is off, 4 where not all is closed that should be')
    .addOption(data())
    .addOption(json())
    .action(async (options) => exit(await (await import('./guard-command.ts')).guardStatus(options, terminal, signal)));
  example(telling, 'sudo weft guard status', 'sudo weft guard status --json');

  const keeping = guard
    .command('keep')
    .description(
      'close what comes and open what goes, and put the table back after a reload of the firewall, until ended',
    )
    .addOption(data())
    .action(async (options) => (await import('./guard-command.ts')).keepGuard(options, terminal, signal));
  example(keeping, 'sudo weft guard keep');
}
