/** Times that go on while they are looked at; only these few words are drawn again each second. */
import { age, ago, dateAndTime, duration } from '../state/format.ts';
import { useApp } from '../state/use.ts';

export function Ago({ atMs }: { readonly atMs: number }) {
  const { now } = useApp();
  return (
    <time dateTime={new Date(atMs).toISOString()} title={dateAndTime(atMs)}>
      {ago(now.value - atMs)}
    </time>
  );
}

export function For({ sinceMs }: { readonly sinceMs: number }) {
  const { now } = useApp();
  return (
    <span title={dateAndTime(sinceMs)}>{duration(Math.max(0, Math.floor((now.value - sinceMs) / 1_000)) * 1_000)}</span>
  );
}

/** As `For`, coarser: what goes on for hours need not be told by the second. */
export function Age({ sinceMs }: { readonly sinceMs: number }) {
  const { now } = useApp();
  return <span title={`since ${dateAndTime(sinceMs)}`}>{age(now.value - sinceMs)}</span>;
}

export function At({ atMs }: { readonly atMs: number }) {
  return <time dateTime={new Date(atMs).toISOString()}>{dateAndTime(atMs)}</time>;
}
