/**
 * The guides, for tests that do what they say. A block's first line is a comment that tells what it is: a file (`# redis.conf on
 * data-1`; the mesh file, which is control's, is on no host), or commands (`# on web-1`). A block of text after commands is what
 * they print. A command that ends otherwise than by 0 says so (`# exit 3`), and so does one that stays (`# stays`).
 */
import { blocks } from '../docs/documented.ts';

export interface GuideFile {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly text: string;
}

export interface GuideCommands {
  readonly host: string;
  /** For sh; fails where a command does not end as the guide says. */
  readonly script: string;
  /** The one command stays; it is to be started. */
  readonly stays: boolean;
  readonly prints: string | undefined;
}

export interface Guide {
  readonly document: string;
  readonly files: readonly GuideFile[];
  readonly commands: readonly GuideCommands[];
}

/** Throws where a block does not tell what it is. */
export function readGuide(document: string): Guide {
  const files: GuideFile[] = [];
  const commands: GuideCommands[] = [];
  const all = blocks(document);
  for (const [at, { language, text }] of all.entries()) {
    const [, name, hosts] = /^(?:#|\/\/) (?:(\S+)\b ?)?(?:\bon ([\w, -]+))?$/m.exec(text.split('\n')[0] ?? '') ?? [];
    if (name !== undefined) {
      files.push({ name, hosts: hosts?.split(', ') ?? [], text });
    } else if (hosts !== undefined && language === 'sh') {
      const next = all[at + 1];
      const stays = / # stays$/m.test(text);
      const prints = next?.language === 'text' ? next.text : undefined;
      commands.push({ host: hosts, script: stays ? `exec ${text.split('\n')[1]}` : scriptOf(text), stays, prints });
    } else if (language !== 'text' || all[at - 1]?.language !== 'sh') {
      throw new Error(`${document}: what is this, and on which host?\n${text}`);
    }
  }
  return { document, files, commands };
}

function scriptOf(text: string): string {
  const lines = text.split('\n').map((line) => {
    const [, command, code] = /^(.*\S) +# exit (\d+)$/.exec(line) ?? [];
    return command === undefined ? line : `code=0; ${command} || code=$?; [ $code = ${code} ]`;
  });
  return ['set -e', ...lines].join('\n');
}

/** The order of joining decides which VIP a caller has. */
export const anyVip = (text: string): string => text.replaceAll(/\b127\.(8\d|9[0-5])\.\d+\.\d+/g, 'VIP');
