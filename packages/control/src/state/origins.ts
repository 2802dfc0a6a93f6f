/** Where each rule of a mesh comes from: who made it what it is, when, and where the newest mesh file has it. It only tells. */
import type { Rule, RulePlaces } from '@weft/proto';
import { sameRule } from './diff.ts';
import type { RuleOrigin, RuleOrigins } from './types.ts';

type Setting = Pick<RuleOrigin, 'revision' | 'setMs' | 'actor'>;
type Place = Pick<RuleOrigin, 'file' | 'line'>;

const UNKNOWN: Setting = { revision: 0, setMs: 0, actor: '' };
const NOWHERE: Place = { file: '', line: 0 };

/** Of the rules as they are next. Those that stay as they were keep who set them, and where nothing is said of a file, their place. */
export function originsAfter(
  before: { readonly mesh: { readonly policies: readonly Rule[] }; readonly origins: RuleOrigins } | undefined,
  rules: readonly Rule[],
  set: Setting,
  places: RulePlaces | undefined,
): RuleOrigins {
  const held = new Map(before?.mesh.policies.map((rule) => [rule.name, rule]));
  const origins = new Map<string, RuleOrigin>();
  for (const [index, rule] of rules.entries()) {
    const previous = held.get(rule.name);
    const stays = previous !== undefined && sameRule(previous, rule);
    const known = stays ? before?.origins.get(rule.name) : undefined;
    const { revision, setMs, actor } = stays ? (known ?? UNKNOWN) : set;
    const { file, line } =
      places === undefined ? (known ?? NOWHERE) : placeAfter(known ?? NOWHERE, places.file, places.lines[index] ?? 0);
    if (revision > 0 || file !== '') origins.set(rule.name, { revision, setMs, actor, file, line });
  }
  return origins;
}

/** What came by a pipe has lines that nobody finds again: a rule that was in a file before, and is as it was, keeps that place. */
function placeAfter(known: Place, file: string, line: number): Place {
  return file === 'stdin' && known.file !== '' ? known : { file, line };
}

/** As it is kept: what many rules share, once, and then their names with their lines. */
type Kept = readonly [Setting & Pick<Place, 'file'>, readonly (readonly [name: string, line: number])[]][];

export function writeOrigins(origins: RuleOrigins): string {
  const shared = Map.groupBy(origins, ([, { revision, setMs, actor, file }]) =>
    JSON.stringify({ revision, setMs, actor, file }),
  );
  const groups = Array.from(shared, ([set, rules]) => {
    return `[${set},${JSON.stringify(rules.map(([name, { line }]) => [name, line]))}]`;
  });
  return `[${groups.join()}]`;
}

/** Only writeOrigins wrote it, so its shape is taken on trust; that it is JSON is not. Empty, as an older version leaves it, is nothing. */
export function readOrigins(json: string): RuleOrigins {
  const groups = json === '' ? [] : (JSON.parse(json) as Kept);
  return new Map(groups.flatMap(([set, rules]) => rules.map(([name, line]) => [name, { ...set, line }] as const)));
}
