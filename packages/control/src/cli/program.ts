/** The command line of weft-control. */
import { resolve } from 'node:path';
import { escapeUnseen, type HostPort, homeOf, parseHostPort, stateDirectory, VERSION } from '@weft/proto';
import type * as Topics from '@weft/proto/topics';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ServeOptions } from '../serve.ts';

interface ServeFlags extends Omit<ServeOptions, 'directory' | 'dashboard' | 'advertise'> {
  readonly data: string;
  readonly dashboard: HostPort | 'off';
  readonly advertise?: readonly string[];
}

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

/** What the commands do. */
export interface Commands {
  readonly serve: (options: ServeOptions) => Promise<void>;
  /** Both take absolute paths. */
  readonly backup: (options: { readonly file: string; readonly directory: string }) => void;
  readonly restore: (options: { readonly file: string; readonly directory: string; readonly replace: boolean }) => void;
}

export function buildProgram({ serve, backup, restore }: Commands): Command {
  const program = new Command('weft-control')
    .description('Control of weft networks: decides who belongs, what runs where, and who may reach what.')
    // Its own, which knows topics, is there when it is asked for.
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .version(VERSION)
    .exitOverride()
    // A word of the command line may hold what a terminal would obey.
    .configureOutput({ outputError: (text, write) => write(escapeUnseen(text)) })
    .showSuggestionAfterError()
    .showHelpAfterError('run weft-control COMMAND --help for what it takes')
    .addHelpText('after', '\nExample:\n  weft-control serve --data ./control --listen 0.0.0.0:7400');

  const data = stateDirectory('weft-control', {
    env: process.env,
    uid: process.getuid?.() ?? -1,
    home: homeOf(process.env),
  });
  program
    .command('serve')
    .description('Run control. The first start makes its key, its certificate and DIR/admin.token.')
    .option('--data <dir>', 'where keys and data are kept', data)
    .addOption(
      addressOption('--listen <host:port>', 'where agents and operators connect', '127.0.0.1:7400', readAddress),
    )
    .addOption(
      addressOption(
        '--dashboard <host:port>',
        'where the dashboard is served over HTTP, or off',
        '127.0.0.1:7480',
        readDashboard,
      ),
    )
    .addOption(
      new Option(
        '--advertise <host:port>',
        'address to put into join tokens; may be given several times (default: what --listen says)',
      ).argParser(addAdvertised),
    )
    // A year at most.
    .option('--flow-hours <n>', 'how many hours of ended flows are kept', countFrom(1, 8_760), 24)
    // Less than the least holds too little of anything.
    .option('--flow-disk <mb>', 'how many megabytes of ended flows are kept', countFrom(16, 1_048_576), 1_024)
    .addOption(
      new Option(
        '--metrics <host:port>',
        'where metrics are served for Prometheus over HTTP (default: nowhere)',
      ).argParser(readAddress),
    )
    .option(
      '--accept-older-data',
      'go on from this data, though hosts have heard of more than it holds: it was restored from an older copy',
    )
    .option('--log-level <level>', `how much to log on stderr: ${LEVELS.join(', ')}`, readLevel, 'info')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  weft-control serve',
        '  weft-control serve --data ./control --listen 0.0.0.0:7400 --advertise control.example.com:7400',
      ].join('\n'),
    )
    .action(async ({ data: at, dashboard, advertise = [], acceptOlderData = false, ...same }: ServeFlags) => {
      const address = dashboard === 'off' ? undefined : dashboard;
      await serve({ ...same, directory: resolve(at), dashboard: address, advertise, acceptOlderData });
    });
  program
    .command('backup')
    .description(
      'Copy all that control is into one file, while it runs: keys, tokens and data, but no records of flows.',
    )
    .argument('<file>', 'where to write it; a backup of before is replaced. Keep it as secret as the data directory')
    .option('--data <dir>', 'where control keeps its keys and data', data)
    .action((file: string, { data: at }: { data: string }) => backup({ file: resolve(file), directory: resolve(at) }));
  program
    .command('restore')
    .description('Make a directory what control was when the backup was made. Then start weft-control serve there.')
    .argument('<file>', 'the backup')
    .option('--data <dir>', 'where control shall keep its keys and data', data)
    .option('--replace', 'move a control that is there already aside, within the directory')
    .action((file: string, { data: at, replace = false }: { data: string; replace?: boolean }) =>
      restore({ file: resolve(file), directory: resolve(at), replace }),
    );
  return program;
}

/** The help of a command, or of a topic. */
export function addHelp(
  program: Command,
  { CONTROL_TOPICS, listTopics, showHelp, topics }: typeof Topics,
  out: (text: string) => void,
): void {
  const known = topics.filter(({ name }) => CONTROL_TOPICS.includes(name));
  program
    .addHelpText('after', listTopics('weft-control', known))
    .command('help')
    .description('What a command takes, or a topic.')
    .argument('[topic...]', `a command, or one of: ${known.map(({ name }) => name).join(', ')}`)
    .action((words: readonly string[]) => {
      const wrong = showHelp(program, words, known, out);
      if (wrong !== undefined) program.error(`error: ${wrong}`);
    });
}

function addressOption<T>(flags: string, description: string, preset: string, read: (text: string) => T): Option {
  return new Option(flags, description).argParser(read).default(read(preset), preset);
}

function readAddress(text: string): HostPort {
  const address = parseHostPort(text);
  if (address === undefined) throw new InvalidArgumentError('expected HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400');
  return address;
}

function readDashboard(text: string): HostPort | 'off' {
  return text === 'off' ? text : readAddress(text);
}

function addAdvertised(text: string, before: readonly string[] = []): readonly string[] {
  const address = parseHostPort(text);
  if (address === undefined || address.port === 0)
    throw new InvalidArgumentError('expected HOST:PORT, with a port of 1 to 65535');
  if (before.length >= 8) throw new InvalidArgumentError('expected at most 8 addresses');
  return [...before, text];
}

function countFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,9}$/.test(text) ? Number(text) : -1;
    if (count < least || count > most) throw new InvalidArgumentError(`expected a number from ${least} to ${most}`);
    return count;
  };
}

function readLevel(text: string): string {
  if (!LEVELS.includes(text)) throw new InvalidArgumentError(`expected one of ${LEVELS.join(', ')}`);
  return text;
}
