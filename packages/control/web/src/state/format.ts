/** Numbers and times as people read them. Every function is pure; times are told in the reader's own zone. */

/** `app-9` comes before `app-10`. */
export const byName: (left: string, right: string) => number = new Intl.Collator('en', { numeric: true }).compare;

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** 1,500 is `1.5 kB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : significant(value)} ${UNITS[unit]}`;
}

export function byteRate(perSecond: number): string {
  return `${bytes(perSecond)}/s`;
}

/** A rate that is not nothing never reads as 0. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return '0/s';
  if (perSecond < 0.1) return '<0.1/s';
  return `${perSecond < 100 ? significant(perSecond) : number(Math.round(perSecond))}/s`;
}

export function number(value: number): string {
  return value.toLocaleString('en-GB');
}

/** `1 agent`, `2 agents`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** `0.4 ms`, `12 ms`, `1.5 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(ms: number): string {
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return '0 ms';
  if (ms < 10) return `${significant(ms)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${significant(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return pair(seconds, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return pair(minutes, 60, 'h', 'min');
  return pair(Math.round(minutes / 60), 24, 'd', 'h');
}

export function ago(ms: number): string {
  return ms < 1_500 ? 'just now' : `${age(ms)} ago`;
}

/** In whole steps of one unit, so that it does not flicker. */
export function age(ms: number): string {
  if (ms < 60_000) return `${Math.max(0, Math.floor(ms / 1_000))} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  return ms < 86_400_000 ? `${Math.floor(ms / 3_600_000)} h` : `${Math.floor(ms / 86_400_000)} d`;
}

export function clock(atMs: number): string {
  return new Date(atMs).toLocaleTimeString('en-GB');
}

/** `22 Nov, 13:59:11`: for tables over a few days. */
export function dayAndTime(atMs: number): string {
  const at = new Date(atMs);
  return `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${clock(atMs)}`;
}

export function dateAndTime(atMs: number): string {
  const at = new Date(atMs);
  const day = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  return `${day}, ${at.toLocaleTimeString('en-GB')}`;
}

/** `+1.2 s`: the sign is what matters in a clock that is off. */
export function skew(ms: number): string {
  if (Math.abs(ms) < 0.5) return '0 ms';
  return ms > 0 ? `+${duration(ms)}` : duration(ms);
}

/** As the command line shows it: nothing in it moves the cursor, ends a line or turns the direction of writing. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** As a field of date and time takes it, in the reader's own zone: `2026-11-22T13:59:11`, shorter when at a full minute. */
export function fieldTime(atMs: number): string {
  const zoneMs = new Date(atMs).getTimezoneOffset() * 60_000;
  return new Date(Math.floor(atMs / 1_000) * 1_000 - zoneMs).toISOString().replace(/(?::00)?\.000Z$/, '');
}

function pair(value: number, base: number, large: string, small: string): string {
  const rest = value % base;
  return `${Math.floor(value / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

function significant(value: number): string {
  if (value >= 99.95) return `${Math.round(value)}`;
  return value.toFixed(1).replace(/\.0$/, '');
}
