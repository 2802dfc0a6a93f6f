/** Tokens, who joins with them, and who is in no longer. */
import { beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from './limits.ts';
import { mesh, randomBytes, redis, StateBench, scope, web } from './state.fixture.ts';
import type { AgentState, StateChange, TokenScope, TokenState } from './types.ts';

let bench: StateBench;
beforeEach(async () => {
  bench = await StateBench.open();
});

describe('a token for a network that is not there', () => {
  const create = (network: string) => bench.state.createToken(scope({ network }), randomBytes(32), 1_000, 'control');

  test('makes the network, empty, with a revision, and both are on disk', async () => {
    await bench.apply(mesh([redis], { network: 'other' }));
    const heard: StateChange[] = [];
    bench.state.subscribe((_next, _previous, change) => heard.push(change));
    const token = await create('prod');
    expect(bench.state.current.revision).toBe(2);
    expect(bench.network()).toMatchObject({ revision: 2, mesh: mesh([]) });
    expect(heard).toEqual([{ networks: ['prod'], takesAway: false }]);
    await create('prod');
    expect([bench.state.current.revision, heard.length]).toEqual([2, 1]);
    const again = await bench.openAgain();
    expect(again.current).toEqual(bench.state.current);
    expect(again.token(token.id)).toMatchObject({ network: 'prod' });
  });

  test('is then applied to as to any', async () => {
    await create('prod');
    expect(await bench.apply(mesh([redis]))).toMatchObject({ revision: 2, changes: [{ subject: 'service redis' }] });
    expect(bench.vip('redis')).toBe(1);
    expect((await bench.join('a', ['redis'])).services).toEqual(['redis']);
  });

  test('makes nothing when the name is wrong or the token cannot be written', async () => {
    await expect(create('Not A Name')).rejects.toThrow(expect.objectContaining({ code: 'invalid' }));
    // A host that is no text is refused by the tokens' table, which is written after the network.
    const unwritable = { ...scope(), host: null } as unknown as TokenScope;
    await expect(bench.state.createToken(unwritable, randomBytes(32), 1_000, 'control')).rejects.toThrow();
    expect([bench.state.current.revision, bench.state.current.networks.size]).toEqual([0, 0]);
    expect(await bench.store.read()).toMatchObject({ networks: [], tokens: [] });
  });
});

describe('another name', () => {
  const rename = (agent: string, host: string) => bench.state.renameAgent('prod', agent, host, 'control');
  const rule = (name: string, ...from: string[]) => ({ name, action: 'deny', from, to: ['redis'], ports: [] }) as const;
  const settings = (name: string, ...tags: string[]) => ({ name, tags, services: [] });

  test('leaves the agent its identity, its keys, its address and its instances', async () => {
    await bench.apply(mesh([redis]));
    const a = await bench.join('a', ['redis']);
    await bench.state.registerInstances(a.id, ['redis']);
    const before = bench.network();
    const { revision } = bench.state.current;
    expect(await rename('a', 'b')).toEqual({ agentId: a.id, formerHost: 'a', revision: revision + 1, leftOver: [] });
    expect(bench.network().agents.get(a.id)).toEqual({ ...before.agents.get(a.id), host: 'b' });
    expect([bench.network().hosts, bench.network().instances]).toEqual([new Map([['b', a.id]]), before.instances]);
    const again = await bench.openAgain();
    expect(again.current).toEqual(bench.state.current);
    // Another may take the old name, with an address of its own.
    const next = await bench.join('a', []);
    expect(next.address).not.toBe(a.address);
  });

  test('that is taken, wrong or its own is refused, and so is that of nobody', async () => {
    await bench.apply(mesh([redis]));
    await bench.join('a', []);
    await bench.join('b', []);
    await expect(rename('a', 'b')).rejects.toThrow(expect.objectContaining({ code: 'taken' }));
    await expect(rename('a', 'a')).rejects.toThrow(expect.objectContaining({ code: 'invalid' }));
    await expect(rename('c', 'd')).rejects.toThrow(expect.objectContaining({ code: 'no-such-agent' }));
  });

  test('of which the mesh does not say the same is refused, and names what differs', async () => {
    const apart = mesh([redis], { policies: [rule('shut', 'host:a')], agents: [settings('a', 'eu')] });
    await bench.apply(apart);
    const a = await bench.join('a', []);
    const { revision } = bench.state.current;
    await expect(rename('a', 'b')).rejects.toThrow(/policy shut, agent a; say the same of both \(host:a and host:b/);
    expect(bench.state.current.revision).toBe(revision);
    const alike = { policies: [rule('shut', 'host:a', 'host:b')], agents: [settings('a', 'eu'), settings('b', 'eu')] };
    await bench.apply(mesh([redis], alike));
    expect((await rename(a.id, 'b')).leftOver).toEqual(['policy shut', 'agent a']);
    // Nor may it gain by it what the mesh says of the other alone.
    await bench.apply(mesh([redis], { policies: [rule('shut', 'host:c')] }));
    await expect(rename('b', 'c')).rejects.toThrow(expect.objectContaining({ code: 'named-apart' }));
  });

  test('that another had a while ago keeps that address', async () => {
    await bench.apply(mesh([redis]));
    const former = await bench.join('b', []);
    await bench.state.revokeAgent('prod', 'b', 'control');
    const a = await bench.join('a', []);
    await rename('a', 'b');
    expect(bench.network().agents.get(a.id)?.address).toBe(former.address);
  });
});

describe('membership', () => {
  beforeEach(async () => await bench.apply(mesh([redis])));

  test('a single-use token lets one host in', async () => {
    const token = await bench.state.createToken(scope({ reusable: false }), randomBytes(32), 1_000, 'control');
    const grant = { token, host: 'a', identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' };
    const first = await bench.state.join(grant);
    expect(await bench.state.join(grant)).toEqual({ agent: first.agent, revision: first.revision });
    const other = { ...grant, host: 'b', identityKey: randomBytes(32), tunnelKey: randomBytes(32) };
    await expect(bench.state.join(other)).rejects.toThrow(expect.objectContaining({ code: 'used' }));
    expect(bench.state.token(token.id)?.uses).toBe(1);
  });

  test('a name or a key of another is refused', async () => {
    const a = await bench.join('a', []);
    const token = await bench.state.createToken(scope(), randomBytes(32), 1_000, 'control');
    const fresh = { token, host: 'b', identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' };
    await expect(bench.state.join({ ...fresh, host: 'a' })).rejects.toThrow(expect.objectContaining({ code: 'taken' }));
    await expect(bench.state.join({ ...fresh, tunnelKey: a.tunnelKey })).rejects.toThrow(
      expect.objectContaining({ code: 'taken' }),
    );
    expect(bench.network().agents.size).toBe(1);
  });

  test('another token adds what it permits to the same agent, which keeps the rest and its place', async () => {
    const a = await bench.join('a', ['redis'], { ephemeral: true });
    await bench.state.registerInstances(a.id, ['redis']);
    const more = scope({ services: ['web'], roles: ['gateway'] });
    const token = await bench.state.createToken(more, randomBytes(32), 1_000, 'control');
    const grant = { token, host: 'a', identityKey: a.identityKey, tunnelKey: a.tunnelKey, version: '' };
    const { agent, revision } = await bench.state.join(grant);
    expect(agent).toMatchObject({
      ...{ id: a.id, services: ['redis', 'web'], roles: ['gateway'], ephemeral: false },
      ...{ tokenId: token.id, earlierTokenIds: [a.tokenId] },
    });
    expect([...bench.network().instances.keys()]).toEqual(['redis/0']);
    // Each of them given again is no news, and says nothing of the other.
    for (const known of [bench.state.token(a.tokenId), bench.state.token(token.id)])
      expect(await bench.state.join({ ...grant, token: known ?? token })).toEqual({ agent, revision });
    await bench.reopen();
    expect(bench.network().agents.get(a.id)).toEqual(agent);
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
        ...{ hosts: [], narrowed: ['a'], revision: revision + 1 },
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
      expect(now(a)).toMatchObject({ services: ['redis', 'web'], taken: [] });
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
  });

  test('a clock that is ahead for a moment forgets no token and no revocation', async () => {
    const day = 86_400_000;
    const old = await bench.state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await bench.state.join({ token: old, host: 'a', ...keys });
    await bench.state.revokeAgent('prod', 'a', 'control');
    const short = await bench.state.createToken(scope(), randomBytes(32), 1_000, 'control');
    await bench.join('b', []);
    for (const restart of [false, true]) {
      if (restart) await bench.reopen();
      bench.turnedMs = 500 * day;
      await bench.state.revokeAgent('prod', restart ? 'c' : 'b', 'control');
      await bench.join('c', []);
      bench.turnedMs = 0;
      expect(bench.state.token(short.id)?.id).toBe(short.id);
      await expect(bench.state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
    }
  });

  test('a jump of the clock is not believed because it was ahead, in good order, hours before', async () => {
    const [hour, day] = [3_600_000, 86_400_000];
    const old = await bench.state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await bench.state.join({ token: old, host: 'a', ...keys });
    for (const host of ['b', 'c']) await bench.join(host, []);
    await bench.state.revokeAgent('prod', 'a', 'control');
    bench.clock += 2 * hour;
    await bench.reopen();
    await bench.state.revokeAgent('prod', 'b', 'control');
    bench.clock += 2 * hour;
    bench.turnedMs = 500 * day;
    await bench.state.revokeAgent('prod', 'c', 'control');
    bench.turnedMs = 0;
    await expect(bench.state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
  });

  test('a revocation of a time when the clock was far behind is kept for as long as a token from before it is good', async () => {
    const day = 86_400_000;
    const old = await bench.state.createToken(scope(), randomBytes(32), 365 * day, 'control');
    const keys = { identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '1' };
    await bench.state.join({ token: old, host: 'a', ...keys });
    bench.turnedMs = -bench.clock;
    await bench.state.revokeAgent('prod', 'a', 'control');
    bench.turnedMs = 0;
    for (const host of ['b', 'c', 'd']) {
      await bench.join(host, []);
      bench.clock += day;
      await bench.state.revokeAgent('prod', host, 'control');
    }
    await expect(bench.state.join({ token: old, host: 'a', ...keys })).rejects.toMatchObject({ code: 'revoked' });
  });

  test('revoking a token ends every membership that came of it', async () => {
    const token = await bench.state.createToken(scope(), randomBytes(32), 1_000, 'control');
    for (const host of ['b', 'a']) {
      await bench.state.join({ token, host, identityKey: randomBytes(32), tunnelKey: randomBytes(32), version: '' });
    }
    const other = await bench.join('c', []);
    const { revision } = bench.state.current;
    const gone = [...bench.network().agents.values()].filter(({ host }) => host !== 'c');
    expect(await bench.state.revokeToken(token.id, 'control')).toEqual({
      ...{ hosts: ['a', 'b'], narrowed: [], revision: revision + 1 },
    });
    expect([...bench.state.current.agents.keys()]).toEqual([other.id]);
    expect(bench.state.endedAgent(gone[0]?.id ?? '')).toMatchObject({ revoked: true });
    expect(await bench.state.revokeToken(token.id, 'control')).toEqual({
      ...{ hosts: [], narrowed: [], revision: revision + 1 },
    });
  });

  test('only an ephemeral agent is forgotten', async () => {
    const [stays, goes] = [await bench.join('a', []), await bench.join('b', [], { ephemeral: true })];
    expect([
      await bench.state.forgetAgent(stays.id),
      await bench.state.forgetAgent(goes.id),
      await bench.state.forgetAgent(goes.id),
    ]).toEqual([false, true, false]);
    expect(bench.state.endedAgent(goes.id)?.revoked).toBe(false);
  });
});
