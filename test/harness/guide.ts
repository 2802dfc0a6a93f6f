/**
 * The guides, for tests that do what they say. A block's first line is a comment that tells what it is: a file (`# redis.conf on
 * data-1`; the mesh file, which is control's, is on no host), or commands (`# on web-1`). A block of text after commands is what
 * they print; `...` in it stands for lines that it leaves out. A command that ends otherwise than by 0 says so (`# exit 3`), and so
 * does the last one where it stays (`# stays`).
 */
import { blocks } from '../docs/documented.ts';

export interface GuideFile {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly text: string;
}

export interface GuideCommands {
  readonly hosts: readonly string[];
  /** For sh; fails where a command does not end as the guide says. */
  readonly script: string;
  /** The last command stays; it is to be started. */
  readonly stays: boolean;
  readonly prints: string | undefined;
}

export interface Guide {
  readonly document: string;
  readonly files: readonly GuideFile[];
  readonly commands: readonly GuideCommands[];
  /** Both, as they come. */
  readonly steps: readonly (GuideFile | GuideCommands)[];
}

/** Throws where a block does not tell what it is. */
export function readGuide(document: string): Guide {
  const steps: (GuideFile | GuideCommands)[] = [];
  const all = blocks(document);
  for (const [at, { language, text }] of all.entries()) {
    const [, name, on] = /^(?:#|\/\/) (?:(\S+)\b ?)?(?:\bon ([\w, -]+))?$/m.exec(text.split('\n')[0] ?? '') ?? [];
    const hosts = on?.split(', ') ?? [];
    if (name !== undefined) {
      steps.push({ name, hosts, text });
    } else if (hosts.length > 0 && language === 'sh') {
      const next = all[at + 1];
      const prints = next?.language === 'text' ? next.text : undefined;
      steps.push({ hosts, script: scriptOf(text), stays: STAYS.test(text), prints });
    } else if (language !== 'text' || all[at - 1]?.language !== 'sh') {
      throw new Error(`${document}: what is this, and on which host?\n${text}`);
    }
  }
  return {
    document,
    steps,
    files: steps.filter((step) => 'name' in step),
    commands: steps.filter((step) => 'script' in step),
  };
}

const STAYS = / # stays\n$/;

function scriptOf(text: string): string {
  const lines = text.trimEnd().split('\n');
  const ending = lines.map((line) => {
    const [, command, code] = /^(.*\S) +# exit (\d+)$/.exec(line) ?? [];
    return command === undefined ? line : `code=0; ${command} || code=$?; [ $code = ${code} ]`;
  });
  if (STAYS.test(text)) ending.push(`exec ${ending.pop()}`);
  return ['set -e', ...ending].join('\n');
}

/** The order of joining decides which VIP a caller has. */
export const anyVip = (text: string): string => text.replaceAll(/\b127\.(8\d|9[0-5])\.\d+\.\d+/g, 'VIP');
