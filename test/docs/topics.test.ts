/** What `weft help TOPIC` says is what the documents say, and these say all that the code has. */
import { NO_BREAKS, selectorForms } from '@weft/proto';
import { topics } from '@weft/proto/topics';
import { describe, expect, test } from 'vitest';
import { type FileSort, jsonSchemaOf } from '../../packages/agent/src/config/json-schema.ts';
import { cut, cutTopics } from '../../packages/proto/topics/cut.ts';
import { toText } from '../../packages/proto/topics/text.ts';
import { codes, ROOT, read, sources, tableRows } from './sources.ts';

describe('topics', () => {
  const parts = cutTopics(ROOT);

  test('are what the documents say now', () => {
    const asked = [
      'policy',
      'selectors',
      'names',
      'agent-file',
      'mesh-file',
      'exit-codes',
      'environment',
      'files',
      'egress',
    ];
    expect(new Set(topics.map(({ name }) => name))).toEqual(new Set(asked));
    expect(topics).toEqual(parts.map(({ topic, about, markdown }) => ({ name: topic, about, text: toText(markdown) })));
  });

  test.each(topics.map(({ name, text }) => [name, text]))('%s fits into 80 columns', (_, text) => {
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text.length).toBeGreaterThan(500);
  });

  test('want both marks', () => {
    const part = '<!-- help: a: b -->\nwords\n<!-- /help -->\n';
    expect(cut('x.md', `before\n${part}after`)).toEqual([{ topic: 'a', about: 'b', markdown: 'words' }]);
    for (const wrong of [
      '<!-- help: a: b -->\nwords\n',
      `<!-- help: c: d -->\n${part}`,
      '<!-- /help -->\n',
      part.replace(': b', ''),
    ])
      expect(() => cut('x.md', wrong), wrong).toThrow('x.md: each <!-- help');
  });
});

describe('markdown as text', () => {
  test.each([
    ['a *word* of `code` and a\n[link](x.md#y) & <b', 'a word of `code` and a link & <b'],
    [`${'word '.repeat(20)}`, `${'word '.repeat(16).trim()}\n${'word '.repeat(4).trim()}`],
    ['### Head\n\n- one\n- two', 'HEAD\n\n- one\n- two'],
    ['```sh\na  b\n```', '    a  b'],
    ['| a | b |\n|---|---|\n| `x` | y \\| z |', 'a    b\n`x`  y | z'],
  ])('%j', (markdown, text) => {
    expect(toText(markdown)).toBe(`${text}\n`);
  });

  test('a table is as wide as there is room, its rows apart where they have several lines, and a list where these are many', () => {
    const row = (words: number) => `| \`key\` | a word | ${'word '.repeat(words)}|`;
    const table = (words: number) => toText(`| key | takes | what |\n|---|---|---|\n${row(words)}\n| other | | x |`);
    expect(table(2)).toBe('key    takes   what\n`key`  a word  word word\nother          x\n');
    const line = 'word '.repeat(13).trim();
    expect(table(20)).toBe(
      `key    takes   what\n\n\`key\`  a word  ${line}\n               ${'word '.repeat(7).trim()}\n\nother          x\n`,
    );
    expect(table(60)).toMatch(/^`key` {2}a word\n {4}word word [\s\S]*\nother\n {4}x\n$/);
  });
});

/** `services.NAME.ports`, `policies[].name`: each key that a file takes, where it stands. */
function keysOf(sort: FileSort): readonly string[] {
  type Part = ReturnType<typeof jsonSchemaOf>;
  const walk = (part: Part, at: string): string[] => {
    const { properties = {}, additionalProperties, items, anyOf = [] } = part as Record<string, never>;
    const own = Object.entries(properties as Record<string, Part>).flatMap(([key, next]) => {
      const place = at === '' ? key : `${at}.${key}`;
      return [place, ...walk(next, place)];
    });
    const named = typeof additionalProperties === 'object' ? walk(additionalProperties, `${at}.NAME`) : [];
    const listed = typeof items === 'object' ? walk(items, `${at}[]`) : [];
    return [...own, ...named, ...listed, ...(anyOf as Part[]).flatMap((one) => walk(one, at))];
  };
  return walk(jsonSchemaOf(sort), '');
}

describe('REFERENCE.md', () => {
  const document = read('docs/REFERENCE.md');

  test.each([
    ['mesh', '## The mesh file'],
    ['agent', '## The agent file'],
  ] as const)('has each key of a %s file, and no other', (sort, heading) => {
    const told = tableRows(document, heading).map(([key]) => codes(key)[0] ?? '');
    // What holds other keys and nothing of its own is told by these.
    const keys = keysOf(sort).filter((key) => told.includes(key) || !told.some((one) => one.startsWith(`${key}.`)));
    expect(keys.length).toBeGreaterThan(5);
    expect(new Set(told)).toEqual(new Set(keys));
    expect(new Set(told).size).toBe(told.length);
  });

  test('has each sort of selector', () => {
    const told = tableRows(document, '## Selectors').flatMap(([selector]) => codes(selector));
    const forms = selectorForms('from').replace(' or ', ', ').split(', ');
    expect(forms.length).toBeGreaterThan(5);
    // A name of a service and a kind stand there as examples.
    const examples: Readonly<Record<string, string>> = { 'a service name': 'redis', 'kind:KIND': 'kind:web' };
    for (const form of forms) expect(told).toContain(examples[form] ?? form);
  });
});

describe('README', () => {
  const document = read('README.md');

  test('has each exit code of the command, and no other', () => {
    const errors = read('packages/agent/src/cli/errors.ts');
    const [, union = ''] = /export type ExitCode = ([^;]+);/.exec(errors) ?? [];
    expect(tableRows(document, '### Exit codes').map(([code]) => code)).toEqual(union.split(' | '));
  });

  test('has each problem by which status does not end with 4', () => {
    const [, told] = /^The problems (.+) only tell, and are no break to `status`\.$/m.exec(document) ?? [];
    expect(new Set(codes(told))).toEqual(NO_BREAKS);
  });

  test('has each variable that the code reads, and no other', () => {
    const code = sources().map(({ text }) => text);
    const standard = [
      'COLUMNS',
      'HOME',
      'NO_COLOR',
      'NOTIFY_SOCKET',
      'PATH',
      'RUNTIME_DIRECTORY',
      'TERM',
      'WATCHDOG_PID',
      'WATCHDOG_USEC',
      'XDG_STATE_HOME',
    ];
    const named = code.flatMap((text) => text.match(/\b(?:WEFT|OTEL)_[A-Z_]*[A-Z]\b/g) ?? []);
    const read_ = code.flatMap((text) =>
      Array.from(text.matchAll(/\benv(?:ironment)?\.([A-Z_]+)\b/g), ([, name = '']) => name),
    );
    const units = ['weft.service', 'weft-control.service', 'weft-range.service'].flatMap((unit) =>
      Array.from(read(`packaging/systemd/${unit}`).matchAll(/\$\{?([A-Z_]+)/g), ([, name = '']) => name),
    );
    for (const name of read_) expect([...standard, ...named]).toContain(name);
    const told = tableRows(document, '### Environment').flatMap(([variable]) => codes(variable));
    expect(new Set(told)).toEqual(new Set([...standard, ...named, ...units]));
    expect(new Set(told).size).toBe(told.length);
  });

  test('has each file that both programs write into their directories', () => {
    const told = tableRows(document, '### Files').map(([file]) => codes(file)[0]);
    const listOf = (path: string) => {
      const [, list = ''] = /^const FILES = \[([^\]]+)\]/m.exec(read(path)) ?? [];
      return Array.from(list.matchAll(/'([^']+)'/g), ([, name]) => name);
    };
    const files = [...listOf('packages/agent/src/member/lock.ts'), ...listOf('packages/control/src/serve.ts')];
    expect(files.length).toBeGreaterThan(8);
    for (const file of files) expect(told).toContain(file);
  });
});
