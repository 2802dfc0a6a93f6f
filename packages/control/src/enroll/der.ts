/** As much of DER (X.690) as a certificate needs. Encoding only: what others send is parsed by node:crypto. */

/** Tag numbers, with the bits that say class and constructed. */
export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag, length, contents. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(body.length)]), body]);
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return tlv(TAG.sequence, ...contents);
}

/** `[n]`, constructed. */
export function explicit(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return tlv(0xa0 | number, ...contents);
}

/** `[n]`, primitive. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return tlv(0x80 | number, content);
}

/** An unsigned number, big-endian. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  // The first bit is the sign.
  return tlv(TAG.integer, ...((digits[0] ?? 0) >= 0x80 ? [Buffer.from([0])] : []), digits);
}

/** Of whole octets. */
export function bitString(bytes: Uint8Array): Buffer {
  return tlv(TAG.bitString, Buffer.from([0]), bytes);
}

export function octetString(...contents: readonly Uint8Array[]): Buffer {
  return tlv(TAG.octetString, ...contents);
}

/** `1.2.840.10045.4.3.2` and the like. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tlv(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** To the second. RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime after. */
export function time(ms: number): Buffer {
  const digits = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  const short = Number(digits.slice(0, 4)) < 2050;
  return tlv(short ? TAG.utcTime : TAG.generalizedTime, Buffer.from(short ? digits.slice(2) : digits, 'ascii'));
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff);
  return [0x80 | octets.length, ...octets];
}

function base128(value: number): number[] {
  const septets = [value & 0x7f];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    septets.unshift((rest & 0x7f) | 0x80);
  return septets;
}
