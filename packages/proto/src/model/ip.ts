/** IP addresses as text, known without Node: the page uses the model too. Each agrees with node:net's of the same name. */

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const v4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
/** A zone follows the address of an interface, as in fe80::1%eth0 (RFC 4007, section 11). */
const v6 = /^([0-9A-Fa-f:.]{2,45})(?:%[0-9A-Za-z.:-]+)?$/;

export function isIPv4(text: string): boolean {
  return v4.test(text);
}

export function isIPv6(text: string): boolean {
  const address = v6.exec(text)?.[1];
  if (address === undefined) return false;
  const tail = /(^|:)([^:]*\..*)$/.exec(address)?.[2];
  if (tail !== undefined && !isIPv4(tail)) return false;
  // An IPv4 tail stands for two groups (RFC 4291, section 2.2).
  const plain = tail === undefined ? address : `${address.slice(0, -tail.length)}0:0`;
  const [head = '', rest, ...more] = plain.split('::');
  if (more.length > 0) return false;
  const groups = [head, rest ?? ''].flatMap((part) => (part === '' ? [] : part.split(':')));
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return rest === undefined ? groups.length === 8 : groups.length <= 7;
}

/** 4, 6, or 0 for what is none. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return isIPv6(text) ? 6 : 0;
}
