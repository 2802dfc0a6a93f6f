/** Options that many commands share, and how each command shows an example. */
import { type Command, Option } from 'commander';

export function admin(command: Command): Command {
  return command
    .option('--control <HOST:PORT>', 'where control is; WEFT_CONTROL, else 127.0.0.1:7400')
    .option(
      '--admin-token-file <FILE>',
      "control's admin token; WEFT_ADMIN_TOKEN_FILE, else that of control on this host",
    );
}

export function network(): Option {
  return new Option('--network <NAME>', 'the network; WEFT_NETWORK, and neither while there is only one');
}

/** What stands for `--network` where it is left away. Empty is none. */
export function networkFromEnvironment(command: Command, env: Readonly<Record<string, string | undefined>>): void {
  const takes = command.options.some(({ long }) => long === '--network');
  if (takes && command.getOptionValue('network') === undefined && env.WEFT_NETWORK)
    command.setOptionValueWithSource('network', env.WEFT_NETWORK, 'env');
}

/** Of a command that asks the agent of this host. */
export function data(): Option {
  return new Option('--data <DIR>', "the agent's directory");
}

export function json(): Option {
  return new Option('--json', 'print JSON');
}

/** How `weft env` may write. */
export const ENV_FORMATS = ['dotenv', 'json', 'shell'] as const;
export type EnvFormat = (typeof ENV_FORMATS)[number];

export function leaveBehind(
  what = 'take also what hosts of an older version cannot read; a new rule fails closed there, and one that denies what they come to run is lost between them',
): Option {
  return new Option('--leave-behind', what);
}

export function wide(): Option {
  return new Option('--wide', 'show tables whole, however wide the terminal is');
}

export function example(command: Command, ...lines: readonly string[]): void {
  command.addHelpText('after', `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}
