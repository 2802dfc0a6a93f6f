/** The model in the words of the tables. */
import { type FlowRecord, formatPortRange } from '@weft/proto';

/** `-` for an empty cell. */
export function orDash(text: string): string {
  return text === '' ? '-' : text;
}

/** Beyond it times of two clocks are hard to compare, milliseconds. */
export const SKEW_BOUND_MS = 1_000;

/** `512 B`, `1.5 KiB`, `20 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount < 10 && unit > 0 ? amount.toFixed(1) : Math.round(amount)} ${units[unit]}`;
}

/** Local date and time to the second, and how that is ahead of UTC: `2026-03-01 14:05:09+01:00`. */
export function formatTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const ahead = -date.getTimezoneOffset();
  const zone = `${ahead < 0 ? '-' : '+'}${two(Math.floor(Math.abs(ahead) / 60))}:${two(Math.abs(ahead) % 60)}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${ahead === 0 ? 'Z' : zone}`;
}

type Ends = Pick<
  FlowRecord,
  'source' | 'sourceHost' | 'service' | 'port' | 'protocol' | 'instance' | 'destinationHost'
>;

/** The caller, and the host it is on. */
export function flowFrom({ source, sourceHost }: Ends): string {
  return source === `host:${sourceHost}` || sourceHost === '' ? source : `${source}@${sourceHost}`;
}

/** What was called, as `redis:6379/tcp`. */
export function flowTo({ service, port, protocol }: Ends): string {
  return `${service}:${formatPortRange({ protocol, first: port, last: port })}`;
}

/** Where it answered; empty for nowhere. */
export function flowInstance({ instance, destinationHost }: Ends): string {
  return instance === '' || destinationHost === '' ? instance : `${instance}@${destinationHost}`;
}
