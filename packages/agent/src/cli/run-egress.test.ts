import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeRights } from '../egress/rights.ts';
import { readEgress, requireFilter, rulesFor } from './run-egress.ts';

describe('what is to be reached', () => {
  it.each([
    [{}, undefined],
    [{ egress: true as const }, 'internet'],
    [{ egressTo: ['10.0.0.0/8:443/tcp', '198.51.100.7'] }, '10.0.0.0/8:443/tcp,198.51.100.7'],
    [{ egress: true as const, egressTo: ['10.0.0.5:3128'] }, 'internet,10.0.0.5:3128'],
  ])('of %j is %s', (options, expected) => {
    const rights = readEgress(options);
    expect(rights === undefined ? undefined : writeRights(rights)).toBe(expected);
  });

  it('is refused with what is wrong', () => {
    expect(() => readEgress({ egressTo: ['10.0.0.1/8'] })).toThrow(
      /--egress-to takes CIDR\[:PORTS\].*found "10\.0\.0\.1\/8"/,
    );
    expect(() => readEgress({ egressTo: ['127.0.0.1'] })).toThrow(/--egress-to cannot open 127\.0\.0\.1/);
    expect(() => readEgress({ egressTo: Array(65).fill('10.0.0.0/8') })).toThrow(/at most 64 ranges/);
  });
});

describe('nft', () => {
  it('is where root has it, whatever the PATH, and is to be installed otherwise', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-nft-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const missing = () => requireFilter(['/nonexistent', folder]);
    expect(missing).toThrow(/apt-get install nftables/);
    writeFileSync(join(folder, 'nft'), '');
    expect(missing).toThrow(/apt-get install nftables/);
    chmodSync(join(folder, 'nft'), 0o755);
    expect(missing()).toBe(join(folder, 'nft'));
  });
});

it('rules are for the range that the agent has', () => {
  const rules = rulesFor({ internet: true, opened: [] }, { range: '100.80.0.0/12' });
  expect(rules).toContain('ip daddr 100.80.0.0/12 accept');
  expect(() => rulesFor({ internet: true, opened: [] }, { range: 'fd00::/8' })).toThrow(/of the same version/);
});
