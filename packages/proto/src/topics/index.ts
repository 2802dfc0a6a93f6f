/**
 * What both programs say at `help TOPIC`, made at the build of what the documents say (`topics/cut.ts`). Loaded when it is asked for: no
 * program that serves holds it.
 */
import { TOPICS } from '#topics';

export interface Topic {
  readonly name: string;
  /** What it is about, in a line. */
  readonly about: string;
  /** Lines of at most 80 characters, the last ended too. */
  readonly text: string;
}

/** As they are listed. */
export const topics: readonly Topic[] = TOPICS;

/** Of control, whose files and names are no matter of its own. */
export const CONTROL_TOPICS: readonly string[] = ['exit-codes', 'environment', 'files'];

/** What commander's Command is here. */
interface Helpful {
  readonly commands: readonly Helpful[];
  name(): string;
  outputHelp(): void;
}

/**
 * Prints what `words` ask for: nothing, the program's own help; a topic's name; or a command's. Answers with a sentence where there
 * is neither.
 */
export function showHelp(
  program: Helpful,
  words: readonly string[],
  known: readonly Topic[],
  out: (text: string) => void,
): string | undefined {
  const topic = known.find(({ name }) => name === words.join(' '));
  if (topic !== undefined) {
    out(`${topic.name}: ${topic.about}\n\n${topic.text}`);
    return undefined;
  }
  let command = program;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined)
      return `there is no command and no topic ${JSON.stringify(words.join(' '))}; topics: ${known.map(({ name }) => name).join(', ')}; ${program.name()} --help lists commands`;
    command = next;
  }
  command.outputHelp();
  return undefined;
}

/** For the foot of the program's help. */
export function listTopics(program: string, known: readonly Topic[]): string {
  const width = Math.max(...known.map(({ name }) => name.length));
  const lines = known.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`);
  return `\nTopics (${program} help TOPIC):\n${lines.join('\n')}`;
}
