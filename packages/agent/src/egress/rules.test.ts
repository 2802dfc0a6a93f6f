import { spawnSync } from 'node:child_process';
import { parseRange } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import { rangesAround } from './address-classes.ts';
import { readRights } from './rights.ts';
import { egressRules } from './rules.ts';

const vips = parseRange('127.80.0.0/12') ?? { base: 0, size: 0 };
const interfaces = {
  eth0: [{ address: '193.0.6.139', netmask: '255.255.255.0', family: 'IPv4', internal: false }],
  wg0: [{ address: '10.8.0.1', netmask: '255.255.0.0', family: 'IPv4', internal: false }],
};

function rulesOf(text: string): string {
  const rights = readRights(text);
  if (rights === undefined) throw new Error(text);
  return egressRules({ rights, around: rangesAround({ vips, interfaces }), vips, names: '192.0.0.1', link: 'weft0' });
}

/** As an ordinary user, in a network namespace of its own. */
function inside(argv: readonly string[], input = ''): { status: number | null; stderr: string } {
  const unshare = ['unshare', '-Urn', ...argv];
  const [command = '', ...rest] =
    process.getuid?.() === 0 ? ['setpriv', '--reuid', '65534', '--clear-groups', ...unshare] : unshare;
  const { status, stderr } = spawnSync(command, rest, { input, encoding: 'utf8' });
  return { status, stderr };
}

const missing =
  inside(['true']).status === 0
    ? inside(['nft', '--version']).status === 0
      ? undefined
      : 'nft is not installed'
    : 'user namespaces are forbidden here';

describe('the rules of a sandbox', () => {
  it
    .skipIf(missing !== undefined)
    .each(['internet', 'internet,10.0.0.0/8:443/tcp', '198.51.100.0/24:8000-8099/udp,10.1.2.3'])(
    `for %s are taken by the kernel of an ordinary user${missing === undefined ? '' : ` (${missing})`}`,
    (text) => expect(inside(['nft', '-f', '-'], rulesOf(text))).toEqual({ status: 0, stderr: '' }),
  );

  it('refuse what is never reached before a range is opened, and what is near after', () => {
    const lines = rulesOf('internet,10.0.0.0/8:53/udp')
      .split('\n')
      .map((line) => line.trim());
    const at = (part: string) => lines.findIndex((line) => line.startsWith(part));
    const order = [
      'ip daddr 127.80.0.0/12',
      'meta l4proto tcp',
      'ip daddr @never',
      'ip daddr 10.0.0.0/8',
      'ip daddr @near',
    ];
    const places = order.map(at);
    expect(places).toEqual([...places].sort((left, right) => left - right));
    expect(places).not.toContain(-1);
    expect(lines.at(-4)).toBe('goto carry');
  });

  it('take no UDP anywhere but where it is opened, without the internet', () => {
    const lines = rulesOf('10.1.2.3')
      .split('\n')
      .map((line) => line.trim());
    expect(lines).toContain('ip daddr 10.1.2.3/32 goto carry');
    expect(lines.at(-4)).toBe('reject with icmp type admin-prohibited');
  });
});
