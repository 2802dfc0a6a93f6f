import { describe, expect, it } from 'vitest';
import type { Netmap } from '../words/netmap.ts';
import type { SourceClaim } from '../words/opening.ts';
import { DENY_WEB, netmap } from './flows.fixture.ts';
import { type Caller, claimName, judge, localCaller, localSpeech, remoteCaller } from './judge.ts';

describe('who is calling', () => {
  const declared = (...names: readonly string[]) => new Set(names);

  it('is the one service that runs here by all words, else one of those that run, or the host', () => {
    const spoken = (current: Netmap, ...names: readonly string[]) =>
      localSpeech(current, new Map(names.map((name) => [name, {}])));
    const current = netmap(1);
    const web = { unknown: { type: 'service', name: 'web' }, apart: [] };
    expect(spoken(current, 'web')).toEqual(web);
    expect(spoken(current, 'web', 'redis')).toEqual({ unknown: { type: 'host' }, apart: ['web', 'redis'] });
    expect(spoken(current)).toEqual({ unknown: { type: 'host' }, apart: [] });
    // Declared in the agent file, but not granted by control, or not in the mesh.
    expect(spoken(current, 'web', 'mailer')).toEqual(web);
    expect(spoken(netmap(1, { services: new Map() }), 'web')).toEqual({ unknown: { type: 'host' }, apart: [] });
  });

  it('is looked up where the file says how to know the one service', () => {
    const services = new Map([['web', { match: { user: 'web' } }]]);
    expect(localSpeech(netmap(1), services)).toEqual({ unknown: { type: 'host' }, apart: ['web'] });
  });

  it('is nobody after a revocation', () => {
    const current = netmap(1, { self: undefined });
    expect(localCaller(current, declared('web'), { type: 'host' })).toBeUndefined();
    expect(localSpeech(current, new Map([['web', {}]]))).toEqual({ unknown: { type: 'host' }, apart: [] });
  });

  it.each([
    ['its service', { type: 'service', name: 'web' } as const, '127.90.0.1'],
    ['its host', { type: 'host' } as const, '127.90.0.2'],
    ['another’s service', { type: 'service', name: 'redis' } as const, undefined],
    ['a service there is not', { type: 'service', name: 'nothing' } as const, undefined],
    ['the internet', { type: 'internet', address: '203.0.113.9' } as const, undefined],
  ])('a peer that claims to be %s', (_, claim, address) => {
    expect(remoteCaller(netmap(1), 'p', claim)?.address).toBe(address);
    expect(remoteCaller(netmap(1), 'stranger', claim)).toBeUndefined();
  });

  it('is what control says of this agent when it speaks for itself', () => {
    const current = netmap(1);
    const local = (claim: SourceClaim) => localCaller(current, declared('web'), claim);
    expect(local({ type: 'service', name: 'web' })).toMatchObject({
      source: { type: 'service', service: { name: 'web' } },
      host: 'self',
      address: '127.90.0.1',
      client: '',
    });
    expect(local({ type: 'host' })).toEqual({
      source: {
        type: 'host',
        name: 'self',
        tags: [],
        services: ['web', 'redis'].map((name) => current.services.get(name)?.service),
      },
      user: null,
      host: 'self',
      address: '127.90.0.2',
      client: '',
    });
    // Control grants it; the agent file does not declare it any more.
    expect(local({ type: 'service', name: 'redis' })).toBeUndefined();
  });

  it('is of the user that its own host says, or of one that nobody knows', () => {
    const user = (claim: SourceClaim) => remoteCaller(netmap(1), 'p', claim)?.user;
    expect(user({ type: 'service', name: 'web', user: 'bob' })).toBe('bob');
    expect(user({ type: 'host', user: '' })).toBe('');
    expect(user({ type: 'host' })).toBeNull();
  });

  it('is no service that control grants and the mesh does not have', () => {
    const bare = netmap(1, { services: new Map() });
    expect(remoteCaller(bare, 'p', { type: 'service', name: 'web' })).toBeUndefined();
    expect(localCaller(bare, declared('web'), { type: 'service', name: 'web' })).toBeUndefined();
  });

  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8::9', '2001:db8::9'],
    ['evil\n203.0.113.9', ''],
  ])('is the internet behind a gateway, by a client address %j that is one', (address, client) => {
    const current = netmap(1);
    const gateways = new Map([...current.peers].map(([id, peer]) => [id, { ...peer, roles: ['gateway' as const] }]));
    expect(remoteCaller({ ...current, peers: gateways }, 'p', { type: 'internet', address })).toEqual({
      source: { type: 'internet' },
      user: null,
      host: 'peer',
      address: '127.90.0.2',
      client,
    });
  });
});

describe('a rule that denies a service', () => {
  const asked = { id: '00000000000000aa', protocol: 'tcp', service: 'redis', port: 6379 } as const;
  const rules = [DENY_WEB];
  const workers = [{ ...DENY_WEB, from: ['kind:worker'] }];
  const verdict = (current: Netmap, caller: Caller | undefined) =>
    judge(current, { ...asked, claimed: { source: '', host: '' }, identify: () => caller });

  it.each<[string, SourceClaim, Netmap]>([
    ['as it', { type: 'service', name: 'web' }, netmap(3, { rules })],
    ['as its host', { type: 'host' }, netmap(3, { rules })],
    [
      'as the host of a worker that nobody here was told of',
      { type: 'host' },
      netmap(3, { services: without('web'), rules }),
    ],
    [
      'as the host of a worker that only its kind tells of',
      { type: 'host' },
      netmap(3, { services: without('web'), rules: workers }),
    ],
  ])('holds at both ends for who speaks %s', (_how, claim, current) => {
    for (const caller of [remoteCaller(current, 'p', claim), localCaller(current, new Set(['web']), claim)]) {
      expect(verdict(current, caller)).toMatchObject({ allowed: false, rule: 'no-web' });
    }
  });

  it('holds for no host that may not run it', () => {
    const current = netmap(3, { rules });
    const peers = new Map([...current.peers].map(([id, peer]) => [id, { ...peer, services: ['redis'] }]));
    const other = { ...current, peers };
    expect(verdict(other, remoteCaller(other, 'p', { type: 'host' }))).toMatchObject({
      allowed: true,
      rule: 'default',
    });
  });

  function without(name: string): Netmap['services'] {
    return new Map([...netmap(1).services].filter(([known]) => known !== name));
  }
});

describe('a claim that is not believed', () => {
  it.each<[SourceClaim, string]>([
    [{ type: 'service', name: 'web' }, 'web'],
    [{ type: 'service', name: 'No Name\n' }, 'host:peer'],
    [{ type: 'host' }, 'host:peer'],
    [{ type: 'internet', address: '203.0.113.9' }, 'internet'],
  ])('%o is written as %s', (claim, name) => {
    expect(claimName(claim, 'peer')).toBe(name);
  });

  it.each([
    ['peer', 'peer may not speak as web'],
    ['', 'the caller may not speak as web'],
  ])('of the host "%s" is told as it is', (host, reason) => {
    const request = {
      id: '00000000000000aa',
      protocol: 'tcp',
      service: 'redis',
      port: 6379,
      claimed: { source: 'web', host },
      identify: () => undefined,
    } as const;
    expect(judge(netmap(3), request)).toEqual({
      allowed: false,
      rule: 'builtin:source',
      revision: 3,
      reason,
      source: 'web',
      sourceHost: host,
      client: '',
    });
  });
});
