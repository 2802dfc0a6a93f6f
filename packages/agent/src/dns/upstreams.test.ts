import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ask, cleanups, logger, startServer } from './forwarding.fixture.ts';
import { leadsTo, parseResolvConf, resolvConfUpstreams } from './upstreams.ts';

describe('upstreams', () => {
  const own = { host: '127.0.0.1', port: 53 };

  it('reads whom a stub asks, and not the stub', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-resolv-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const [path, behind] = [join(directory, 'resolv.conf'), join(directory, 'behind')];
    writeFileSync(path, 'nameserver 127.0.0.53\noptions edns0\n');
    let now = 0;
    const upstreams = resolvConfUpstreams(path, own, logger, () => now, behind);
    const read = () => {
      now += 2_000;
      return upstreams().map(({ host }) => host);
    };
    expect(read()).toEqual(['127.0.0.53']);
    writeFileSync(behind, '# nobody yet\n');
    expect(read()).toEqual([]);
    writeFileSync(behind, 'nameserver 10.0.0.2\nnameserver 127.0.0.1\n');
    expect(read()).toEqual(['10.0.0.2']);
    // As when the host comes into another network; the stub stays.
    writeFileSync(behind, 'nameserver 10.0.0.19\n');
    expect(read()).toEqual(['10.0.0.19']);
  });

  it('keeps whom a stub asked while it does not say, and takes no agent for one that it asks', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-resolv-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const [path, behind] = [join(directory, 'resolv.conf'), join(directory, 'behind')];
    writeFileSync(path, 'nameserver 127.0.0.53\n');
    // The stub's own file has no ports.
    writeFileSync(behind, 'nameserver 127.0.0.1\nnameserver 10.0.0.2\n');
    let now = 0;
    const upstreams = resolvConfUpstreams(path, { host: '127.0.0.1', port: 7453 }, logger, () => now, behind);
    const read = () => {
      now += 2_000;
      return upstreams().map(({ host }) => host);
    };
    expect(read()).toEqual(['10.0.0.2']);
    rmSync(behind);
    expect(read()).toEqual(['10.0.0.2']);
    writeFileSync(behind, '');
    expect(read()).toEqual(['10.0.0.2']);
    writeFileSync(behind, 'nameserver 127.0.0.1\n');
    expect(read()).toEqual(['10.0.0.2']);
    writeFileSync(behind, 'nameserver 10.0.0.19\n');
    expect(read()).toEqual(['10.0.0.19']);
  });

  it.each([
    ['is too long', (path: string) => writeFileSync(path, `nameserver 10.0.0.2\n${'# long\n'.repeat(10_000)}`)],
    ['is no file', (path: string) => mkdirSync(path)],
  ])('says once that a resolv.conf %s', (_what, make) => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-resolv-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'resolv.conf');
    make(path);
    const told: unknown[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => told.push((JSON.parse(line) as { event: unknown }).event) });
    let now = 0;
    const upstreams = resolvConfUpstreams(path, own, log, () => now);
    for (; now < 6_000; now += 2_000) expect(upstreams()).toEqual([]);
    expect(told).toEqual(['dns-resolv-conf-unreadable']);
  });

  it('reads resolv.conf as libc does', () => {
    const text =
      '# c\nnameserver 10.0.0.2\n  nameserver\tfe80::1%eth0 # x\nsearch internal\nnameserver nowhere\nnameserver\n;nameserver 10.9.9.9';
    expect(parseResolvConf(text).map(({ host }) => host)).toEqual(['10.0.0.2', 'fe80::1%eth0']);
  });

  it('knows what leads back here', () => {
    expect(leadsTo(own, { host: '127.0.0.1', port: 53 })).toBe(true);
    expect(leadsTo(own, { host: '::ffff:127.0.0.1', port: 53 })).toBe(true);
    expect(leadsTo(own, { host: '0.0.0.0', port: 53 })).toBe(true);
    expect(leadsTo(own, { host: '127.0.0.53', port: 53 })).toBe(false);
    expect(leadsTo(own, { host: '127.0.0.1', port: 54 })).toBe(false);
    expect(leadsTo({ host: '0.0.0.0', port: 53 }, { host: '127.0.0.53', port: 53 })).toBe(true);
    expect(leadsTo({ host: '0.0.0.0', port: 53 }, { host: '192.0.2.1', port: 53 })).toBe(false);
  });

  it('skips itself, takes three, and keeps what it knew while the file is away', () => {
    const dir = mkdtempSync(join(tmpdir(), 'weft-dns-'));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const path = join(dir, 'resolv.conf');
    const lines = (...hosts: string[]): string => hosts.map((host) => `nameserver ${host}\n`).join('');
    writeFileSync(path, lines('127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'));
    let now = 0;
    const upstreams = resolvConfUpstreams(path, own, logger, () => now);
    const hosts = (): string[] => upstreams().map(({ host }) => host);
    expect(hosts()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    writeFileSync(join(dir, 'next'), lines('10.0.0.9'));
    renameSync(join(dir, 'next'), path);
    expect(hosts()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    rmSync(path);
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    writeFileSync(path, lines('127.0.0.1'));
    now += 2000;
    expect(hosts()).toEqual(['10.0.0.9']);
    writeFileSync(path, '# no resolver at all\n');
    now += 2000;
    expect(hosts()).toEqual([]);
    writeFileSync(path, lines('127.0.0.1'));
    now += 2000;
    expect(hosts()).toEqual([]);
  });

  it('answers all the same when there is no file', async () => {
    const server = await startServer({ resolvConfPath: join(tmpdir(), 'weft-no-such-file') });
    expect(await ask(server, 'a.example')).toMatchObject({ rcode: 'SERVFAIL' });
  });
});
