import type { Mesh } from '@weft/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mesh, service, tcp } from '../netmap/network.fixture.ts';
import type { Log } from '../store/change-log.fixture.ts';
import { slow } from '../store/slow.fixture.ts';
import { Store } from '../store/store.ts';
import { withAppend } from '../store/wrapped.fixture.ts';
import { openState } from './state.ts';
import type { State, StateStore, TokenState } from './types.ts';

let clock = 1_700_000_000_000;
const now = (): number => ++clock;
const apply = (state: StateStore, network: string, ...ports: number[]) =>
  state.apply(meshOf(network, ...ports), { dryRun: false, actor: 'control' });
const meshOf = (network: string, ...ports: number[]): Mesh =>
  mesh({ network, services: ports.map((port) => service(`s${port}`, 'private', tcp(port))) });
const scope = { network: 'prod', services: ['s1', 's2'], host: '', roles: [], reusable: true, ephemeral: false };
const token = (state: StateStore, rest: object = {}): Promise<TokenState> =>
  state.createToken({ ...scope, ...rest }, new Uint8Array(32), 1_000, 'control');
let keys = 0;
function join(state: StateStore, made: TokenState, host: string) {
  const key = (): Uint8Array => new Uint8Array(32).fill(0).map((_, at) => (at === 0 ? ++keys : keys >> 8));
  return state.join({ token: made, host, identityKey: key(), tunnelKey: key(), version: '1' });
}

/** What listeners were told, which must be a chain from the first snapshot to the one that is current. */
function follow(state: StateStore): () => void {
  let last: State = state.current;
  state.subscribe((next, previous, { networks }) => {
    expect(previous).toBe(last);
    expect(state.current).toBe(next);
    for (const [name, network] of next.networks) {
      if (!networks.includes(name)) expect(network).toBe(previous.networks.get(name));
    }
    last = next;
  });
  return () => expect(state.current.networks).toEqual(last.networks);
}

describe('a change', () => {
  test('is seen by nobody before it is durable, and by listeners before who asked for it', async () => {
    const store = Store.inMemory();
    const gate = Promise.withResolvers<void>();
    const told: string[] = [];
    const append: Log['append'] = async (expected, writes) => {
      await gate.promise;
      return await store.append(expected, writes);
    };
    const state = await openState({ store: withAppend(store, append), now });
    state.subscribe(() => told.push('one'));
    state.subscribe(() => told.push('gone'))();
    state.subscribe(() => told.push('two'));
    const before = state.current;
    const made = token(state).then(() => told.push('asked'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([state.current, state.tokens('prod'), told]).toEqual([before, [], []]);
    gate.resolve();
    await made;
    expect(told).toEqual(['one', 'two', 'asked']);
    expect(state.tokens('prod')).toHaveLength(1);
  });

  test('comes after those that were asked for before it, a listener’s own after all have heard', async () => {
    const state = await openState({ store: slow(Store.inMemory()), now });
    const heard: string[] = [];
    const later: Promise<unknown>[] = [];
    state.subscribe(({ revision }) => {
      heard.push(`one ${revision}`);
      if (revision === 1) later.push(apply(state, 'prod', 4));
    });
    state.subscribe(({ revision }) => void heard.push(`two ${revision}`));
    const all = await Promise.all([apply(state, 'prod', 1), apply(state, 'other', 2), apply(state, 'prod', 3)]);
    await Promise.all(later);
    expect(all.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    expect(heard).toEqual([1, 2, 3, 4].flatMap((revision) => [`one ${revision}`, `two ${revision}`]));
    expect([...(state.current.networks.get('prod')?.services.keys() ?? [])]).toEqual(['s4']);
  });

  test('begins in the turn of its call when none is under way', async () => {
    const store = Store.inMemory();
    let asked = 0;
    const append: Log['append'] = (expected, writes) => {
      asked += 1;
      return store.append(expected, writes);
    };
    const state = await openState({ store: withAppend(store, append), now });
    for (const port of [1, 2]) {
      const made = apply(state, 'prod', port);
      expect(asked).toBe(port);
      await made;
      // Followers hear of it, too.
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test('that is refused or fails does not stop those that wait', async () => {
    const state = await openState({ store: slow(Store.inMemory()), now });
    const refused = state.apply({ ...meshOf('prod', 1), network: 'Bad' }, { dryRun: false, actor: 'control' });
    const all = await Promise.allSettled([refused, state.revokeToken('tk_0', 'control'), apply(state, 'prod', 1)]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });

  test('looks at what the one before it made: a token for one host, a host that is revoked', async () => {
    const state = await openState({ store: slow(Store.inMemory()), now });
    await apply(state, 'prod', 1);
    const [once, often] = [await token(state, { reusable: false }), await token(state)];
    const both = await Promise.allSettled([join(state, once, 'a'), join(state, once, 'b')]);
    expect(both).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'used' } }]);
    await join(state, often, 'c');
    const back = await Promise.allSettled([state.revokeAgent('prod', 'c', 'control'), join(state, often, 'c')]);
    expect(back).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'revoked' } }]);
  });
});

describe('a commit that reports an error', () => {
  const act = (state: StateStore) => apply(state, 'prod', 1, 2);
  /** Commits, or not, and says that it failed; a read right after may fail too. */
  async function failing({ reached, blind }: { readonly reached: boolean; readonly blind: boolean }) {
    const store = Store.inMemory();
    await apply(await openState({ store, now }), 'prod', 1);
    let broken: boolean = false;
    let reads = 0;
    const append: Log['append'] = async (expected, writes) => {
      if (!broken || reached) await store.append(expected, writes);
      if (!broken) return true;
      throw new Error('connection lost');
    };
    const read: Log['read'] = () => {
      if (broken && blind && reads++ === 0) throw new Error('connection lost');
      return store.read();
    };
    const state = await openState({ store: { ...withAppend(store, append), read: async () => read() }, now });
    broken = true;
    return { store, state, mend: () => (broken = false) };
  }

  test.each([false, true])('is one, and memory is what the disk says: that it came through, %s', async (reached) => {
    const { store, state } = await failing({ reached, blind: false });
    const heard: string[][] = [];
    state.subscribe((_next, _previous, { networks, takesAway }) => heard.push([...networks, String(takesAway)]));
    await expect(act(state)).rejects.toThrow('connection lost');
    expect(state.current.networks.get('prod')?.services.has('s2')).toBe(reached);
    // Whoever listens hears of it all the same, as of something that may take away.
    expect(heard).toEqual(reached ? [['prod', 'true']] : []);
    expect(state.current).toEqual((await openState({ store, now })).current);
  });

  test.each([false, true])(
    'and a disk that cannot be read then is read before the next change, %s',
    async (reached) => {
      const { store, state, mend } = await failing({ reached, blind: true });
      const check = follow(state);
      const { current } = state;
      await expect(act(state)).rejects.toThrow('connection lost');
      // One that came through is heard of as any other is.
      await new Promise((resolve) => setImmediate(resolve));
      expect(state.current === current).toBe(!reached);
      mend();
      expect((await apply(state, 'prod', 3)).revision).toBe(reached ? 3 : 2);
      check();
      expect(state.current).toEqual((await openState({ store, now })).current);
    },
  );
});

describe('two writers on one log', () => {
  test('who comes second works its change out anew, and nothing of either is lost', async () => {
    const store = Store.inMemory();
    const [one, other] = [await openState({ store, now }), await openState({ store, now })];
    await apply(one, 'prod', 1);
    expect((await apply(other, 'stage', 2)).revision).toBe(2);
    expect((await apply(one, 'prod', 1, 2)).revision).toBe(3);
    const again = await openState({ store, now });
    for (const state of [one, other]) await expect.poll(() => state.current).toEqual(again.current);
  });

  test('who loses a place takes the next, and says which', async () => {
    const disk = Store.inMemory();
    const store = slow(disk);
    const [one, other] = [await openState({ store, now }), await openState({ store, now })];
    const both = await Promise.all([apply(one, 'prod', 1), apply(other, 'stage', 2)]);
    expect(both.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    const { networks } = (await openState({ store: disk, now })).current;
    expect(['prod', 'stage'].map((name) => networks.get(name)?.revision)).toEqual(both.map(({ revision }) => revision));
  });

  test('who loses its place each time gives up, says so, and is right again afterwards', async () => {
    const store = Store.inMemory();
    let others: boolean = true;
    let tries = 0;
    const state = await openState({
      store: withAppend(store, async (expected, writes) => {
        if (!others) return await store.append(expected, writes);
        // Even a store that always says so holds nobody up for ever.
        if (tries++ > 1_000) throw new Error('tried for ever');
        return false;
      }),
      now,
    });
    await expect(apply(state, 'prod', 1)).rejects.toMatchObject({ code: 'contended' });
    others = false;
    expect((await apply(state, 'prod', 1)).revision).toBe(1);
  });

  test('each hears of what the other made, and keeps what it did not touch', async () => {
    const store = slow(Store.inMemory());
    const [one, other] = [await openState({ store, now }), await openState({ store, now })];
    const check = follow(other);
    await apply(one, 'prod', 1);
    await apply(one, 'stage', 2);
    await expect.poll(() => other.current.networks.size).toBe(2);
    const stage = other.current.networks.get('stage');
    const { id } = await token(one);
    await expect.poll(() => other.token(id)?.id).toBe(id);
    await apply(one, 'prod', 1, 2);
    await expect.poll(() => other.current.networks.get('prod')?.services.size).toBe(2);
    expect(other.current.networks.get('stage')).toBe(stage);
    check();
  });

  test('who missed that a network came and went gives no revision of those again', async () => {
    const store = Store.inMemory();
    const deaf = {
      ...withAppend(store, (expected, writes) => store.append(expected, writes)),
      follow: async () => undefined,
    };
    const [one, other] = [await openState({ store, now }), await openState({ store: deaf, now })];
    const check = follow(other);
    await apply(one, 'stage', 1);
    const { revision } = await one.removeNetwork('stage', 'control');
    expect((await apply(other, 'prod', 1)).revision).toBe(revision + 1);
    check();
  });

  const everything = (state: StateStore) => [state.current, state.tokens('prod'), state.tokens('stage')];

  type Step = (one: StateStore) => Promise<unknown>;
  const network = fc.constantFrom('prod', 'stage');
  const step: fc.Arbitrary<readonly [number, Step]> = fc.tuple(
    fc.nat(1),
    fc.oneof(
      fc.tuple(network, fc.uniqueArray(fc.constantFrom(1, 2, 3), { maxLength: 3 })).map(
        ([name, ports]): Step =>
          (state) =>
            apply(state, name, ...ports),
      ),
      fc.tuple(network, fc.constantFrom('a', 'b', 'c'), fc.boolean()).map(
        ([name, host, ephemeral]): Step =>
          async (state) => {
            const made = await token(state, { network: name, ephemeral });
            const { agent } = await join(state, made, host);
            await state.registerInstances(agent.id, ['s1', 's2']);
          },
      ),
      fc.tuple(network, fc.constantFrom('a', 'b')).map(
        ([name, host]): Step =>
          (state) =>
            state.revokeAgent(name, host, 'control'),
      ),
      network.map(
        (name): Step =>
          (state) =>
            state.removeNetwork(name, 'control'),
      ),
      network.map(
        (name): Step =>
          (state) =>
            state.revokeToken(state.tokens(name)[0]?.id ?? '', 'control'),
      ),
    ),
  );

  test('whatever both do at once: each revision is one change’s, and both end where the disk is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
        const disk = Store.inMemory();
        const store = slow(disk);
        const writers = [await openState({ store, now }), await openState({ store, now })] as const;
        const checks = writers.map(follow);
        const done = await Promise.allSettled(steps.map(([who, act]) => act(writers[who] ?? writers[0])));
        for (const outcome of done) {
          // Refused for what the other did is fine; nothing else is.
          if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'StateError' });
        }
        const again = await openState({ store: disk, now });
        for (const state of writers) {
          await expect.poll(() => everything(state), { interval: 2 }).toEqual(everything(again));
        }
        for (const check of checks) check();
        const acts = await disk.audit({ network: '', limit: 100 });
        const revisions = acts.map(({ revision }) => revision).filter((revision) => revision > 0);
        expect(revisions).toEqual([...new Set(revisions)].sort((one, next) => next - one));
        expect(revisions).toHaveLength(again.current.revision);
      }),
      { numRuns: 40 },
    );
  });
});
