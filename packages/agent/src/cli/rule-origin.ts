/** Where a rule comes from, as control tells it: who made it what it is, when, and where it is written. */
import type { ActorKind } from '@weft/proto';
import { actorKindCodec, type pb, timestampFromWire, toldFromWire } from '@weft/proto/wire';
import { formatTime } from './format.ts';
import { printable } from './terminal.ts';

export interface RuleOrigin {
  readonly rule: string;
  /** Empty when it is not known. */
  readonly file: string;
  /** From 1; 0 when it is not known. */
  readonly line: number;
  /** 0, and the two after it 0 and null, when it is not known. */
  readonly revision: number;
  readonly setMs: number;
  readonly actor: { readonly kind: ActorKind | 'other'; readonly name: string } | null;
}

/** Throws WireError. */
export function originFromWire(wire: pb.Message<'RuleOrigin'>): RuleOrigin {
  const { rule, file, line, revision, setTime, actor } = wire;
  return {
    ...{ rule, file, line, revision },
    setMs: timestampFromWire(setTime, 'set_time'),
    actor: actor ? { kind: toldFromWire(actorKindCodec, actor.kind, 'actor.kind'), name: actor.name } : null,
  };
}

/** `mesh.yaml:14, set by admin 10.0.0.7 at 2026-03-01 14:05:09Z, revision 7`. */
export function originWords({ file, line, revision, setMs, actor }: RuleOrigin): string {
  const place = line === 0 ? file : `${file}:${line}`;
  const who = actor === null ? 'somebody' : `${actor.kind} ${actor.name}`.trim();
  const set =
    revision === 0
      ? 'who set it, and when, is not known'
      : `set by ${who} at ${formatTime(setMs)}, revision ${revision}`;
  return printable([place, set].filter((words) => words !== '').join(', '));
}
