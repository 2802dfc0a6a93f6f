/** The commands that tell of the others: help with its topics, and what completes them. */
import tab from '@bomb.sh/tab/commander';
import { listTopics, showHelp, topics } from '@weft/proto/topics';
import { Argument, type Command } from 'commander';
import { UsageError } from './errors.ts';
import { example } from './options.ts';
import type { Terminal } from './terminal.ts';

/** After all others. `completing`: whether what `help` takes is to be completed, commands as well as topics. */
export function helpProgram(program: Command, terminal: Terminal, completing: boolean): void {
  program.addHelpText('after', listTopics('weft', topics));
  // Choices are what completes.
  const commands = completing ? program.commands.map((command) => command.name()) : [];
  const known = [...topics.map(({ name }) => name), ...commands];
  const gathered = (word: string, before: readonly string[] = []) => [...before, word];
  const helping = program
    .command('help')
    .description('what a command takes, or a topic, without a server')
    .addArgument(new Argument('[topic...]', 'a command, or a topic').choices(known).argParser(gathered))
    .action((words: readonly string[] = []) => {
      const wrong = showHelp(program, words, topics, terminal.out);
      if (wrong !== undefined) throw new UsageError(wrong);
    });
  example(helping, 'weft help exit-codes', 'weft help token create');

  tab(program, { completionCommandName: 'completion' });
  const made = program.commands.find((command) => command.name() === 'completion');
  made?.description('print what makes a shell complete commands and options');
  if (made !== undefined) example(made, 'weft completion bash > ~/.local/share/bash-completion/completions/weft');
}
