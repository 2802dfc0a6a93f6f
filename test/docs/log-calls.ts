/** Every call that writes a log line, found in the sources' text. */
import type { Source } from './sources.ts';

export interface LogCall {
  readonly source: Source;
  readonly line: number;
  /** Undefined when the call names no event by a literal. */
  readonly event: string | undefined;
  /** `varies` when it is computed. */
  readonly level: string;
  readonly fields: readonly string[];
}

const CALL = /\b(?:log|logger)\??(?:\.(trace|debug|info|warn|error|fatal)|\[\w+\])\(/g;
const LIMITED = /\blimitedLog\??\.(warn)\(/g;

export function logCalls(source: Source): readonly LogCall[] {
  const calls: LogCall[] = [];
  for (const match of source.text.matchAll(CALL)) {
    const [whole, level = 'varies'] = match;
    const argument = literalAt(source.text, match.index + whole.length);
    const event = /^event: '([^']+)'$/.exec(argument?.[0] ?? '')?.[1];
    calls.push({ ...place(source, match.index), event, level, fields: fieldsOf(argument?.slice(1) ?? []) });
  }
  for (const match of source.text.matchAll(LIMITED)) {
    const [whole, level = 'varies'] = match;
    const start = match.index + whole.length;
    // limitedLog.warn(event, reason, fields)
    const event = /^\s*'([^']+)'/.exec(source.text.slice(start))?.[1];
    const fields = literalAt(source.text, source.text.indexOf('{', start)) ?? [];
    calls.push({ ...place(source, match.index), event, level, fields: ['reason', 'suppressed', ...fieldsOf(fields)] });
  }
  return calls;
}

function place(source: Source, index: number): Pick<LogCall, 'source' | 'line'> {
  return { source, line: source.text.slice(0, index).split('\n').length };
}

/** The parts of the object literal that begins here, as they are written. */
function literalAt(text: string, index: number): string[] | undefined {
  let at = index + (/^\s*/.exec(text.slice(index))?.[0].length ?? 0);
  if (text[at] !== '{') return undefined;
  const parts: string[] = [];
  let part = '';
  for (let depth = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if ('}])'.includes(character)) depth -= 1;
    if (depth === 0 || (depth === 1 && character === ',')) {
      if (part.trim() !== '') parts.push(part.trim());
      part = '';
      if (depth === 0 && character === '}') return parts;
    } else part += character;
    if ('{[('.includes(character)) {
      depth += 1;
      if (depth === 1) part = '';
    }
  }
  return undefined;
}

/** Names of the fields; `...host` of what is spread. */
function fieldsOf(parts: readonly string[]): readonly string[] {
  return parts.map((part) => /^(?:\.\.\.)?\w+/.exec(part)?.[0] ?? part);
}
