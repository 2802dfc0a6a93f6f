/** What members have by their tokens and grants, what is taken from them, and tokens in the place of others. */
import { beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from './limits.ts';
import { mesh, randomBytes, redis, StateBench, scope, web } from './state.fixture.ts';
import type { AgentState, StateChange, TokenScope, TokenState } from './types.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
  await bench.apply(mesh([redis]));
});

describe('several tokens', () => {
  const day = 86_400_000;
  const make = (services: string[], rest: Partial<TokenScope> = {}, lifetimeMs = day) =>
    bench.state.createToken(scope({ services, ...rest }), randomBytes(32), lifetimeMs, 'control');
  const again = async (member: AgentState, token: TokenState) => {
    const { host, identityKey, tunnelKey } = member;
    return (await bench.state.join({ token, host, identityKey, tunnelKey, version: '' })).agent;
  };
  const now = (member: AgentState) => bench.network().agents.get(member.id);
  const take = (...services: string[]) => {
    const options = { dryRun: false, actor: 'control' };
    return bench.state.grantServices('prod', { agent: 'a', services, take: true }, options);
  };

  test('a member ends with the one that made it a member', async () => {
    const a = await bench.join('a', ['redis']);
    await again(a, await make(['web']));
    expect(await bench.state.revokeToken(a.tokenId, 'control')).toMatchObject({ hosts: ['a'], narrowed: [] });
    expect(bench.network().agents.size).toBe(0);
  });

  test('one that only added takes what it gave along, and no more, on disk too', async () => {
    await bench.apply(mesh([redis, web]));
    const a = await bench.join('a', ['redis']);
    const more = await make(['redis', 'web'], { roles: ['gateway'] });
    const both = await again(a, more);
    await bench.state.registerInstances(a.id, ['redis', 'web']);
    const heard: StateChange[] = [];
    bench.state.subscribe((_next, _previous, change) => heard.push(change));
    const { revision } = bench.state.current;
    expect(both).toMatchObject({ services: ['redis', 'web'], roles: ['gateway'] });
    expect(await bench.state.revokeToken(more.id, 'control')).toEqual({
      ...{ hosts: [], narrowed: ['a'], madeEphemeral: [], revision: revision + 1, already: false },
    });
    expect(heard).toEqual([{ networks: ['prod'], takesAway: true }]);
    expect(now(a)).toMatchObject({
      ...{ services: ['redis'], roles: [], tokenId: a.tokenId, earlierTokenIds: [] },
      rights: [{ tokenId: a.tokenId, services: ['redis'], roles: [] }],
    });
    expect([...bench.network().instances.keys()]).toEqual(['redis/0']);
    expect((await bench.openAgain()).current).toEqual(bench.state.current);
    const [entry] = await bench.store.audit({ network: 'prod', limit: 1 });
    expect([entry?.action, entry?.detail]).toEqual(['token-revoke', 'taken from 1 agent: a']);
  });

  test('what was granted beside them stays when they are revoked', async () => {
    const a = await bench.join('a', []);
    const more = await again(a, await make(['redis']));
    const grant = { agent: 'a', services: ['redis'], take: false };
    const { changes } = await bench.state.grantServices('prod', grant, { dryRun: false, actor: 'control' });
    expect(changes).toMatchObject([{ detail: 'services redis: granted, beside what its tokens give' }]);
    await bench.state.revokeToken(more.tokenId, 'control');
    expect(now(a)?.services).toEqual(['redis']);
  });

  test('one is let go of when it has ended and a later one gives the same, never the first', async () => {
    const a = await bench.join('a', ['redis'], { reusable: false });
    const ids: string[] = [];
    for (const services of [['redis'], ['redis', 'web'], ['web']]) {
      const token = await make(services, { reusable: false });
      ids.push(token.id);
      await again(a, token);
    }
    // The second stands: the third does not give all of it.
    expect(now(a)).toMatchObject({
      tokenId: ids[2],
      earlierTokenIds: [ids[1], a.tokenId],
      granted: ['redis', 'web'],
    });
    bench.clock += 31 * day;
    await make([]);
    expect([...ids, a.tokenId].map((id) => bench.state.token(id) === undefined)).toEqual([true, false, false, false]);
  });

  test('a member keeps 64, and of more what the oldest gave that has ended', async () => {
    const a = await bench.join('a', ['s0'], { reusable: false });
    for (let at = 1; at < LIMITS.tokensPerAgent; at++) await again(a, await make([`s${at}`], { reusable: at > 1 }));
    await again(a, await make(['last']));
    expect(now(a)?.granted).toHaveLength(LIMITS.tokensPerAgent + 1);
    expect(now(a)?.rights.at(-1)).toMatchObject({ tokenId: '', services: ['s1'] });
    expect(now(a)?.earlierTokenIds.at(-1)).toBe(a.tokenId);
    // With all others somebody can join still, so that what they gave must end with them.
    await expect(again(a, await make(['more']))).rejects.toMatchObject({ code: 'limit' });
    expect((await bench.openAgain()).current).toEqual(bench.state.current);
  });

  test('one from before does not give back what was taken since, and one made after does', async () => {
    await bench.apply(mesh([redis, web]));
    const a = await bench.join('a', ['redis']);
    const [named, wide] = [await make(['redis', 'web']), await make(['kind:private', 'kind:web'])];
    await take('redis');
    await again(a, named);
    await again(a, wide);
    expect(now(a)).toMatchObject({ granted: ['kind:web', 'web'], services: ['web'] });
    expect((await bench.openAgain()).current).toEqual(bench.state.current);
    await again(a, await make(['redis']));
    expect(now(a)).toMatchObject({ services: ['redis', 'web'] });
  });

  test('what was taken from an ephemeral host does not come back with it, by its name or its keys', async () => {
    const token = await make(['redis', 'web'], { ephemeral: true });
    const [other, more] = [await make(['redis', 'web']), await make(['web'], { ephemeral: true })];
    const keys = () => ({ identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
    let a = (await bench.state.join({ token, host: 'a', ...keys() })).agent;
    await take('redis');
    for (const host of ['a', 'b', 'a']) {
      await bench.state.forgetAgent(a.id);
      await bench.reopen();
      bench.clock += 2 * 3_600_000;
      const { identityKey, tunnelKey } = host === 'b' ? a : keys();
      a = (await bench.state.join({ token, host, identityKey, tunnelKey, version: '' })).agent;
      expect([host, a.granted, a.ephemeral]).toEqual([host, ['web'], true]);
      // One that came as another host, under its keys, is that host from then on.
      if (host === 'b') await bench.state.renameAgent('prod', 'b', 'a', 'control');
    }
    await again(a, other);
    expect(now(a)?.granted).toEqual(['web']);
    // Once no token from before is good any more, nothing need be kept of it, and a day after it was forgotten nothing is.
    const fresh = (await bench.state.join({ token: more, host: 'c', ...keys() })).agent;
    await bench.state.forgetAgent(fresh.id);
    bench.clock += 40 * day;
    await bench.join('d', []);
    await bench.state.revokeAgent('prod', 'd', 'control');
    expect(bench.state.endedAgent(fresh.id)).toBeUndefined();
  });

  test('a member goes with all its tokens by one change, and whom these had made members', async () => {
    const [first, second] = [await make(['redis']), await make(['web'])];
    const join = async (host: string, token: TokenState) => {
      const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32) };
      return (await bench.state.join({ token, host, ...keys, version: '' })).agent;
    };
    const a = await again(await join('a', first), second);
    await join('b', second);
    const c = await again(await bench.join('c', []), second);
    const { revision } = bench.state.current;
    expect(await bench.state.revokeWithTokens('prod', 'a', 'control')).toEqual({
      ...{ agentId: a.id, tokens: [second.id, first.id], hosts: ['a', 'b'], narrowed: ['c'], madeEphemeral: [] },
      revision: revision + 1,
    });
    expect([first, second].map(({ id }) => bench.state.token(id)?.revoked)).toEqual([true, true]);
    expect([bench.network().agents.size, now(c)?.granted]).toEqual([1, []]);
    expect((await bench.openAgain()).current).toEqual(bench.state.current);
    const [entry] = await bench.store.audit({ network: 'prod', limit: 1 });
    expect([entry?.action, entry?.subject]).toEqual(['agent-revoke', 'agent a']);
    expect(entry?.detail).toContain('2 agents: a, b; taken from 1 agent: c');
    await expect(bench.state.revokeWithTokens('prod', 'a', 'control')).rejects.toMatchObject({ code: 'no-such-agent' });
  });

  test('a newer token gives back what was taken, and an older one does not once the newer is revoked', async () => {
    const a = await bench.join('a', ['redis']);
    const [older, oldest] = [await make(['redis']), await make(['redis'])];
    await take('redis');
    const newer = await make(['redis']);
    expect((await again(a, newer)).granted).toEqual(['redis']);
    await bench.state.revokeToken(newer.id, 'control');
    expect((await again(a, older)).granted).toEqual([]);
    const grant = { agent: 'a', services: ['redis'], take: false };
    await bench.state.grantServices('prod', grant, { dryRun: false, actor: 'control' });
    expect(now(a)?.granted).toEqual(['redis']);
    await take('redis');
    expect((await again(a, oldest)).granted).toEqual([]);
  });

  test('a wide token from before a take gives nothing while nobody knows of which kind the taken service is', async () => {
    const a = await bench.join('a', ['redis']);
    const wide = await make(['kind:private']);
    await take('redis');
    await bench.apply(mesh([]));
    await again(a, wide);
    await bench.apply(mesh([redis]));
    expect(now(a)).toMatchObject({ granted: [], services: [] });
  });

  test('what was taken from a host is kept for its keys when another came by its name first', async () => {
    const token = await make(['redis'], { ephemeral: true });
    const keys = () => ({ identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
    const own = keys();
    const first = (await bench.state.join({ token, host: 'a', ...own })).agent;
    await take('redis');
    await bench.state.forgetAgent(first.id);
    const other = (await bench.state.join({ token, host: 'a', ...keys() })).agent;
    expect(other.granted).toEqual([]);
    expect((await bench.state.join({ token, host: 'b', ...own })).agent.granted).toEqual([]);
    // It is kept no longer than once of each: of the same keys and name, that of the last life.
    for (let life = 0; life < 3; life++) {
      const { id } = (await bench.state.join({ token, host: 'c', ...keys() })).agent;
      await bench.state.forgetAgent(id);
    }
    await bench.state.forgetAgent(other.id);
    const back = (
      await bench.state.join({
        token,
        host: 'a',
        ...(({ identityKey, tunnelKey }) => ({ identityKey, tunnelKey }))(other),
        version: '',
      })
    ).agent;
    await bench.state.forgetAgent(back.id);
    expect([bench.state.endedAgent(other.id)?.taken, bench.state.endedAgent(back.id)?.taken.length]).toEqual([[], 1]);
  });

  test('a role that an ended token gave is never kept as granted: a member of 64 such tokens takes no more', async () => {
    const a = await bench.join('a', [], { reusable: false });
    const gateway = { reusable: false, roles: ['gateway'] } as const;
    for (let at = 1; at < LIMITS.tokensPerAgent; at++) await again(a, await make([`s${at}`], gateway));
    await expect(again(a, await make(['more']))).rejects.toMatchObject({ code: 'limit' });
    for (const id of now(a)?.earlierTokenIds.slice(0, -1) ?? []) await bench.state.revokeToken(id, 'control');
    await bench.state.revokeToken(now(a)?.tokenId ?? '', 'control');
    expect(now(a)?.roles ?? []).toEqual([]);
  });
});

describe('a token in the place of one that leaked', () => {
  const hour = 3_600_000;
  const keys = () => ({ identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
  const replace = (id: string, lifetimeMs?: number) =>
    bench.state.replaceToken(id, randomBytes(32), lifetimeMs, 'control');

  test('has its rights, its members and its time, and it admits nobody any more', async () => {
    const rights = { services: ['redis'], roles: ['gateway'], reusable: true, ephemeral: true } as const;
    const leaked = await bench.state.createToken(scope(rights), randomBytes(32), 5 * hour, 'control');
    for (const host of ['b', 'a']) await bench.state.join({ token: leaked, host, ...keys() });
    const c = await bench.join('c', []);
    await bench.state.join({ ...c, token: leaked });
    const before = bench.network();
    bench.clock += hour;
    const { token, hosts, revision } = await replace(leaked.id);
    expect([hosts, revision]).toEqual([['a', 'b', 'c'], before.revision + 1]);
    expect(token).toMatchObject({ ...rights, uses: 0, revoked: false, expiresMs: bench.clock + 5 * hour });
    expect(Buffer.compare(token.secretHash, leaked.secretHash)).not.toBe(0);
    expect(bench.state.token(leaked.id)).toMatchObject({ revoked: true, replacedBy: token.id });
    await expect(bench.state.join({ token: leaked, host: 'd', ...keys() })).rejects.toMatchObject({
      code: 'no-such-token',
    });
    for (const [id, agent] of bench.network().agents) {
      const { rights, tokenId, ...rest } = agent;
      const { rights: had, tokenId: last, ...same } = before.agents.get(id) ?? agent;
      expect(rest).toEqual(same);
      expect(rights).toEqual(had.map((one) => (one.tokenId === last ? { ...one, tokenId } : one)));
      expect(tokenId).toBe(token.id);
    }
    expect((await bench.openAgain()).current).toEqual(bench.state.current);
    expect((await bench.openAgain()).token(leaked.id)?.replacedBy).toBe(token.id);
    // It means what the other meant: whom that made members ends with it, and whom it had added to loses that.
    await bench.state.join({ token, host: 'd', ...keys() });
    expect(await bench.state.revokeToken(token.id, 'control')).toMatchObject({
      ...{ hosts: ['a', 'b', 'd'], narrowed: ['c'] },
    });
  });

  test('is told of by who is asked for the other, and is replaced as any', async () => {
    const first = await bench.state.createToken(scope(), randomBytes(32), hour, 'control');
    const { token: second } = await replace(first.id);
    const { token: third } = await replace(second.id, 2 * hour);
    expect(third.expiresMs).toBe(bench.clock + 2 * hour);
    const said = { code: 'token-ended', message: expect.stringContaining(`${second.id} is in its place`) };
    await expect(replace(first.id)).rejects.toMatchObject(said);
    await expect(bench.state.revokeToken(first.id, 'control')).rejects.toMatchObject(said);
    await bench.state.revokeToken(third.id, 'control');
    await expect(replace(third.id)).rejects.toMatchObject({ code: 'token-ended' });
    await expect(replace('tk_none')).rejects.toMatchObject({ code: 'no-such-token' });
    const actions = (await bench.store.audit({ network: 'prod', limit: 10 })).map(({ action, subject, detail }) => [
      ...[action, subject, detail.split(';')[0]],
    ]);
    expect(actions).toContainEqual(['token-replace', `token ${first.id}`, `by ${second.id}`]);
  });

  test('gives back neither who was revoked nor what was taken since the other was made', async () => {
    const leaked = await bench.state.createToken(scope({ services: ['redis'] }), randomBytes(32), hour, 'control');
    const evil = { host: 'evil', ...keys() };
    await bench.state.join({ token: leaked, ...evil });
    const a = await bench.join('a', ['redis']);
    const taking = { agent: 'a', services: ['redis'], take: true };
    await bench.state.grantServices('prod', taking, { dryRun: false, actor: 'control' });
    await bench.state.revokeAgent('prod', 'evil', 'control');
    const { token } = await replace(leaked.id);
    await expect(bench.state.join({ token, ...evil })).rejects.toMatchObject({ code: 'revoked' });
    expect((await bench.state.join({ ...a, token })).agent.granted).toEqual([]);
    expect((await bench.state.join({ token, host: 'b', ...keys() })).agent.granted).toEqual(['redis']);
  });

  test('is refused in the place of one that has ended, which would give back what was taken since', async () => {
    const once = await bench.state.createToken(
      scope({ services: ['redis'], reusable: false }),
      ...([randomBytes(32), hour, 'control'] as const),
    );
    const short = await bench.state.createToken(scope({ services: ['redis'] }), randomBytes(32), hour, 'control');
    await bench.state.join({ token: once, host: 'b', ...keys() });
    await bench.join('a', ['redis']);
    bench.clock += 2 * hour;
    for (const services of [['redis'], ['web']])
      await bench.state.grantServices(
        'prod',
        { agent: 'a', services, take: true },
        { dryRun: false, actor: 'control' },
      );
    for (const { id } of [once, short]) await expect(replace(id)).rejects.toMatchObject({ code: 'token-ended' });
  });
});
