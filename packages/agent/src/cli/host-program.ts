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
    .addOption(new Option('--run-socket <PATH>', 'where the agent takes sandboxes, as weft up --run-socket says it'))
    .addOption(data())
    .action(async (command, options) =>
      (await import('./run-command.ts')).runInSandbox(command, options, terminal, signal),
    );
  example(shutting, 'weft run --service web -- node server.js', 'weft run --service mailer -- bash');

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
