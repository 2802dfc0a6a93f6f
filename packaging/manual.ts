/**
 * The manual pages: what the programs' own help says of commands and options, and the topics of `help TOPIC`, as markdown, which marked-man
 * makes roff of.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERSION } from '@weft/proto';
import * as topics from '@weft/proto/topics';
import { lexer, Marked, type Tokens } from 'marked';
import roff from 'marked-man';
import { helpProgram } from '../packages/agent/src/cli/help-program.ts';
import { build } from '../packages/agent/src/cli/program.ts';
import { processTerminal } from '../packages/agent/src/cli/terminal.ts';
import { addHelp, buildProgram } from '../packages/control/src/cli/program.ts';
import { cutTopics, type Part } from '../packages/proto/topics/cut.ts';

type Command = ReturnType<typeof buildProgram>;

interface Page {
  readonly name: string;
  readonly section: 1 | 5;
  readonly about: string;
  readonly markdown: string;
}

/** Writes `man1/weft.1` and the others below `to`. `seconds` since the epoch is the day that they show. */
export function writeManual(root: string, to: string, seconds: number): void {
  const day = new Date(seconds * 1_000).toISOString().slice(0, 10);
  for (const page of manual(cutTopics(root))) {
    const path = join(to, `man${page.section}`, `${page.name}.${page.section}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, toRoff(page, `weft ${VERSION.replace(/\+.*/, '')}`, day));
  }
}

function manual(parts: readonly Part[]): readonly Page[] {
  const topic = (name: string, title: string): string => {
    const part = parts.find((one) => one.topic === name);
    if (part === undefined) throw new Error(`no document has the topic ${name}`);
    return section(title, listed(part.markdown));
  };
  const both = [topic('exit-codes', 'Exit status'), topic('environment', 'Environment'), topic('files', 'Files')];
  const terminal = processTerminal();
  const agent = build(terminal, new AbortController().signal, false, () => undefined);
  helpProgram(agent, terminal, false);
  const control = buildProgram({ serve: async () => undefined, backup: () => undefined, restore: () => undefined });
  addHelp(control, topics, () => undefined);
  const page = (name: string, number: 1 | 5, about: string, ...sections: readonly string[]): Page => {
    const others = PAGES.filter((one) => !one.startsWith(`${name}(`)).map((one) => one.replace(/.*/, '**$&**'));
    const markdown = [...sections, section('See also', others.join(', '))].join('\n\n');
    return { name, section: number, about, markdown };
  };
  return [
    page('weft', 1, lower(agent.description()), ...ofProgram(agent), topic('names', 'Names'), ...both),
    page('weft-control', 1, lower(control.description()), ...ofProgram(control), ...both),
    page('weft.yaml', 5, 'what runs on a host of a weft network', topic('agent-file', 'Description')),
    page(
      ...(['mesh.yaml', 5, 'what control is told of a weft network'] as const),
      ...[topic('mesh-file', 'Description'), topic('selectors', 'Selectors'), topic('policy', 'Policy')],
    ),
  ];
}

const PAGES = ['weft(1)', 'weft-control(1)', 'weft.yaml(5)', 'mesh.yaml(5)'];

function ofProgram(program: Command): readonly string[] {
  const synopsis = `**${program.name()}** *command* [*options*]\n\n**${program.name()}** **help** [*command* | *topic*]`;
  // Without those that are for shells alone.
  const visible = program.createHelp().visibleCommands(program);
  const commands = visible.flatMap((command) => ofCommand(command, program.name()));
  return [
    section('Synopsis', synopsis),
    section('Description', `${sentence(program.description())}`),
    section('Commands', commands.join('\n\n')),
  ];
}

/** With those below it, which have a line of their own each. */
function ofCommand(command: Command, before: string): readonly string[] {
  const name = `${before} ${command.name()}`;
  const below = command.commands.flatMap((one) => ofCommand(one, name));
  // A word that only stands before others is told by these.
  if (below.length > 0 && command.options.length === 0) return below;
  const help = command.createHelp();
  const entries = [
    ...help.visibleArguments(command).map((argument) => [argument.name(), argument.description] as const),
    ...help
      .visibleOptions(command)
      .filter(({ long }) => long !== '--help')
      .map(
        (option) =>
          [option.flags, option.description + preset(option.defaultValue, option.defaultValueDescription)] as const,
      ),
  ];
  const list = entries.map(([term, text]) => `- ${code(term)}  \n  ${plain(text)}`);
  const options = entries.length > 0 ? ` ${command.usage()}` : '';
  const own = [`### ${name}${plain(options)}`, sentence(command.description()), list.join('\n'), examples(command)];
  return [own.filter((part) => part !== '').join('\n\n'), ...below];
}

/** Of a place that is the builder's own, nothing. */
function preset(value: unknown, words: string | undefined): string {
  const told = words ?? value;
  if (told === undefined || typeof told === 'boolean' || String(told).startsWith('/')) return '';
  return ` (default: ${String(told)})`;
}

/** They stand at the foot of the command's help alone. */
function examples(command: Command): string {
  let shown = '';
  const writeOut = (text: string) => {
    shown += text;
  };
  command.configureOutput({ writeOut });
  command.outputHelp();
  const [, lines] = /\nExamples?:\n((?: {2}.*\n?)+)/.exec(shown) ?? [];
  return lines === undefined ? '' : `\`\`\`\n${lines.replaceAll(/^ {2}/gm, '').trimEnd()}\n\`\`\``;
}

/** Without its tables, which a terminal of 80 columns has no room for in man(1): a row is its first cell, and the others under it. */
function listed(markdown: string): string {
  return lexer(markdown)
    .map((token) => {
      if (token.type !== 'table') return token.raw;
      const { header, rows } = token as Tokens.Table;
      const items = rows.map((row) => {
        const [first, ...rest] = row.map(({ text }) => text);
        const heads = header.slice(1).map(({ text }) => (rest.length > 1 ? `${text}: ` : ''));
        const lines = rest.flatMap((text, index) => (text === '' ? [] : [`${heads[index]}${text}`]));
        return `- ${[first, ...lines].join('  \n  ')}`;
      });
      return `${items.join('\n')}\n\n`;
    })
    .join('');
}

function section(title: string, markdown: string): string {
  return `## ${title.toUpperCase()}\n\n${markdown}`;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Words of a program's help, in which no character means anything to markdown. */
function plain(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>|]/g, '\\$&');
}

function sentence(text: string): string {
  const whole = plain(text);
  return `${whole.slice(0, 1).toUpperCase()}${whole.slice(1)}${whole.endsWith('.') ? '' : '.'}`;
}

function lower(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`.replace(/\.$/, '');
}

/** A page has no documents beside it, so that a link is its words. */
function toRoff({ name, section: number, about, markdown }: Page, version: string, day: string): string {
  const unlinked = markdown.replaceAll(/\[([^\]]+)\]\([^)\s]+\)/g, '$1');
  const made = String(new Marked(roff, { breaks: false }).parse(`# ${name}(${number}) -- ${about}\n\n${unlinked}\n`));
  return (
    made
      .replace(/^\.TH .*$/m, `.TH "${name.toUpperCase()}" "${number}" "${day}" "${version}"`)
      .replaceAll(/[ \t]+$/gm, '')
      .replaceAll(/^\.RS 2\n\.nf$/gm, '.sp\n$&')
      // mandoc calls a paragraph that follows a heading needless, and so it is; an empty line is none to roff.
      .replaceAll(/^(\.S[HS] .*)\n\.P$/gm, '$1')
      .replaceAll(/\n{2,}/g, '\n')
  );
}
