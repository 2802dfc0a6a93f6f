/** Tokens, who joins with them, and who is in no longer. */
import { beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from './limits.ts';
import { mesh, randomBytes, redis, StateBench, scope } from './state.fixture.ts';
import type { StateChange, TokenScope } from './types.ts';

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
    // It stayed by the second alone.
    expect(await bench.state.revokeToken(token.id, 'control')).toMatchObject({
      ...{ hosts: [], narrowed: ['a'], madeEphemeral: ['a'] },
    });
    expect(bench.network().agents.get(a.id)).toMatchObject({ services: ['redis'], ephemeral: true });
    const [entry] = await bench.store.audit({ network: 'prod', limit: 1 });
    expect(entry?.detail).toBe('taken from 1 agent: a; ephemeral from now on: 1 agent: a');
    await bench.reopen();
    expect(bench.network().agents.get(a.id)?.ephemeral).toBe(true);
  });

  test('a host is not made ephemeral by the revocation of a token by which it did not stay', async () => {
    const a = await bench.join('a', ['redis'], { ephemeral: true });
    const more = async (ephemeral: boolean) => {
      const made = scope({ services: ['web'], reusable: false, ephemeral });
      const token = await bench.state.createToken(made, randomBytes(32), 60_000, 'control');
      const { host, identityKey, tunnelKey } = a;
      await bench.state.join({ token, host, identityKey, tunnelKey, version: '' });
      return token;
    };
    const revoke = async ({ id }: { readonly id: string }) =>
      (await bench.state.revokeToken(id, 'control')).madeEphemeral;
    const stays = await more(false);
    expect(await revoke(await more(true))).toEqual([]);
    expect(bench.network().agents.get(a.id)?.ephemeral).toBe(false);
    // At the limit the oldest is let go of, but not the last by which it stays.
    for (let count = 0; count < LIMITS.tokensPerAgent; count += 1) {
      const made = scope({ services: [`s${count}`], reusable: false, ephemeral: true });
      const token = await bench.state.createToken(made, randomBytes(32), 60_000, 'control');
      const { host, identityKey, tunnelKey } = a;
      await bench.state.join({ token, host, identityKey, tunnelKey, version: '' });
    }
    expect(await revoke(await more(true))).toEqual([]);
    expect(await revoke(stays)).toEqual(['a']);
  });

  test('a host that was to stay from the first stays when a token is revoked that only added', async () => {
    const a = await bench.join('a', ['redis']);
    for (const ephemeral of [true, false]) {
      const token = await bench.state.createToken(
        scope({ services: ['web'], ephemeral }),
        randomBytes(32),
        1_000,
        'control',
      );
      await bench.state.join({ token, host: 'a', identityKey: a.identityKey, tunnelKey: a.tunnelKey, version: '' });
      await bench.state.revokeToken(token.id, 'control');
      expect(bench.network().agents.get(a.id)).toMatchObject({ services: ['redis'], ephemeral: false });
    }
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
      ...{ hosts: ['a', 'b'], narrowed: [], madeEphemeral: [], revision: revision + 1, already: false },
    });
    const audited = await bench.store.audit({ network: 'prod', limit: 100 });
    expect([...bench.state.current.agents.keys()]).toEqual([other.id]);
    expect(bench.state.endedAgent(gone[0]?.id ?? '')).toMatchObject({ revoked: true });
    expect(await bench.state.revokeToken(token.id, 'control')).toEqual({
      ...{ hosts: [], narrowed: [], madeEphemeral: [], revision: revision + 1, already: true },
    });
    expect(await bench.store.audit({ network: 'prod', limit: 100 })).toEqual(audited);
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
