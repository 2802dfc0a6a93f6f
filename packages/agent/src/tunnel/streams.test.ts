import { createHash, randomBytes } from 'node:crypto';
import { nodeFfi } from '@weft/proto/house';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { Relay } from '../../../../test/harness/relay.ts';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { nativeCipherCause, setNativeCipher } from '../bytes/inside/known.ts';
import { NativeCipher } from '../bytes/inside/native-cipher.ts';
import { inPlaceKeys } from '../protocol/noise/pair.fixture.ts';
import { InPlace } from '../protocol/record/in-place.ts';
import type { Conduit } from '../words/conduit.ts';
import { collect, exchange, openRequest, openStream, type TestAgent, TestNetwork, until } from './agents.fixture.ts';
import { FlowCutError } from './errors.ts';
import type { Inbound } from './types.ts';

type Ffi = ConstructorParameters<typeof NativeCipher>[0];
const ffi = nodeFfi<Ffi>();

type Lack = 'no context' | 'another length';

/** node:ffi, but that OpenSSL makes no context, or writes a byte less, from the moment when that is said. */
function whichLacks(openssl: { readonly lacking: boolean }, lack: Lack): Ffi {
  if (ffi === undefined) throw new Error('no node:ffi');
  return {
    getRawPointer: (memory) => ffi.getRawPointer(memory),
    dlopen(path, definitions) {
      const { functions } = ffi.dlopen(path, definitions);
      const { EVP_CIPHER_CTX_new, EVP_CipherUpdate } = functions;
      const lacks = (one: Lack) => openssl.lacking && lack === one;
      return {
        functions: {
          ...functions,
          EVP_CIPHER_CTX_new: () => (lacks('no context') ? 0n : EVP_CIPHER_CTX_new()),
          EVP_CipherUpdate: (context, out, written, input, length, ...unused) =>
            EVP_CipherUpdate(context, out, written, input, length - (lacks('another length') ? 1 : 0), ...unused),
        },
      };
    },
  };
}

let network: TestNetwork;
let alice: TestAgent;
let bob: TestAgent;

beforeEach(async () => {
  network = new TestNetwork();
  alice = await network.agent('alice');
  bob = await network.agent('bob');
});
afterEach(() => network.close());

const digest = (blocks: readonly Buffer[]): string => {
  const hash = createHash('sha256');
  for (const block of blocks) hash.update(block);
  return hash.digest('hex');
};

describe('a stream between two agents', () => {
  it('carries 12 MB both ways unharmed', async () => {
    const blocks = Array.from({ length: 48 }, () => randomBytes(256 * 1024));
    const outcome = await exchange(await openStream(alice, 'bob'), blocks);
    expect(outcome).toEqual({ how: 'closed', cause: undefined, bytes: 12 * 2 ** 20, digest: digest(blocks) });
    expect(alice.tunnels.counters.bytesSent).toBeGreaterThan(12 * 2 ** 20);
  });

  it('carries pieces of every size unharmed, in order', async () => {
    const sizes = [1, 2, 1000, 4096, 4097, 5000, 65_536, 224 * 1024, 262_135, 262_136, 300_000, 1, 700_000, 3];
    const blocks = sizes.map((size) => randomBytes(size));
    const outcome = await exchange(await openStream(alice, 'bob'), blocks);
    expect(outcome.digest).toBe(digest(blocks));
  });

  it('serves many streams at once in one tunnel', async () => {
    const work = Array.from({ length: 50 }, async (_, index) => {
      const blocks = Array.from({ length: 10 }, () => randomBytes(1000 * (index + 1)));
      const outcome = await exchange(
        await openStream(index % 2 === 0 ? alice : bob, index % 2 === 0 ? 'bob' : 'alice'),
        blocks,
      );
      expect(outcome.digest).toBe(digest(blocks));
    });
    await Promise.all(work);
    // Each side may have dialled; not one tunnel a stream.
    expect(alice.tunnels.counters.open).toBeLessThanOrEqual(4);
  });

  it('that cannot be sealed costs its tunnel, and the next one carries', async () => {
    const openssl: { lacking: boolean } = { lacking: true };
    const newKey = (...key: Parameters<typeof inPlaceKeys.newKey>) => {
      if (openssl.lacking && key[2] === 'seal') throw new Error('OpenSSL makes no context for a cipher');
      return inPlaceKeys.newKey(...key);
    };
    const carol = await network.agent('carol', { inPlace: new InPlace(newKey) });
    const blocks = [randomBytes(100_000)];
    const outcome = await exchange(await openStream(carol, 'bob'), blocks);
    expect(outcome).toMatchObject({ how: 'reset', cause: { code: 'failed' } });
    openssl.lacking = false;
    expect(await exchange(await openStream(carol, 'bob'), blocks)).toMatchObject({ how: 'closed', bytes: 100_000 });
    expect(bob.tunnels.counters.violations).toBe(0);
  });

  it.skipIf(ffi === undefined).each([
    ['no context', 'OpenSSL makes no context for a cipher'],
    ['another length', 'OpenSSL wrote another length'],
  ] as const)('goes by node:crypto once OpenSSL made %s, which is told', async (lack, told) => {
    const openssl: { lacking: boolean } = { lacking: false };
    setNativeCipher(new NativeCipher(whichLacks(openssl, lack)));
    onTestFinished(() => setNativeCipher('not looked for'));
    const carol = await network.agent('carol');
    const blocks = [randomBytes(100_000)];
    const carried = { how: 'closed', bytes: 100_000 };
    const first = await openStream(carol, 'bob');
    openssl.lacking = true;
    expect(await exchange(first, blocks)).toMatchObject({ how: 'reset', cause: { code: 'failed' } });
    expect(nativeCipherCause()).toBe(told);
    expect(await exchange(await openStream(carol, 'bob'), blocks)).toMatchObject(carried);
  });

  it('passes a half-close and lets the other direction go on', async () => {
    bob.stream = (inbound) => {
      const conduit = inbound.accept();
      conduit.attach({
        data: () => undefined,
        drain: () => undefined,
        end: () => {
          conduit.write(Buffer.from('after the end'), true);
          conduit.end();
        },
        closed: () => undefined,
      });
    };
    const conduit = await openStream(alice, 'bob');
    const outcome = exchange(conduit, [Buffer.from('hello')]);
    expect(await outcome).toMatchObject({ how: 'closed', bytes: 'after the end'.length });
  });

  it('passes a reset', async () => {
    const accepted = Promise.withResolvers<Conduit>();
    bob.stream = (inbound) => accepted.resolve(inbound.accept());
    const conduit = await openStream(alice, 'bob');
    const far = collect(await accepted.promise);
    const near = collect(conduit);
    conduit.reset();
    expect(await far).toMatchObject({ how: 'reset' });
    expect(await near).toMatchObject({ how: 'reset' });
    expect(alice.tunnels.counters.violations + bob.tunnels.counters.violations).toBe(0);
  });

  it('hands on a refusal with its rule and revision', async () => {
    const refusal = { code: 'denied', rule: 'no-admin-ui', revision: 7, detail: 'web may not reach rabbit' } as const;
    bob.stream = (inbound) => inbound.refuse(refusal);
    const answer = await alice.tunnels.openStream(...forged('bob', openRequest()), new Deadline(5000));
    expect(answer).toEqual({ opened: false, refusal });
  });

  it('tells the destination when the opener gives up', async () => {
    const offered = Promise.withResolvers<Inbound<Conduit>>();
    let late: Conduit | undefined;
    bob.stream = (inbound) => {
      offered.resolve(inbound);
      inbound.onGone(() => {
        late = inbound.accept();
      });
    };
    const caller = new Deadline(9_000);
    const answer = alice.tunnels.openStream(...forged('bob', openRequest()), caller);
    const inbound = await offered.promise;
    caller.end(new Error('the program hung up'));
    await expect(answer).rejects.toThrow('the program hung up');
    await until(() => inbound.gone);
    if (late === undefined) throw new Error('not offered');
    // Accepting what was given up gives a conduit that is over.
    expect(await collect(late)).toMatchObject({ how: 'reset' });
  });

  it('lets the destination hear of a cut by itself before it is told that the opener is gone', async () => {
    const offered = Promise.withResolvers<Inbound<Conduit>>();
    bob.stream = (inbound) => offered.resolve(inbound);
    const caller = new Deadline(9_000);
    const answer = alice.tunnels.openStream(...forged('bob', openRequest()), caller);
    const inbound = await offered.promise;
    const cutAt = performance.now();
    caller.end(new FlowCutError('policy no-web denies it'));
    await expect(answer).rejects.toThrow('policy no-web denies it');
    // What had been said before it has come.
    await alice.tunnels.ping('bob', new Deadline(5_000));
    const gone = inbound.gone;
    if (performance.now() - cutAt < 200) expect(gone).toBe(false);
    await until(() => inbound.gone);
  });

  it('stops the writer while the reader does not read, with bounded memory', async () => {
    const accepted = Promise.withResolvers<Conduit>();
    bob.stream = (inbound) => accepted.resolve(inbound.accept());
    const conduit = await openStream(alice, 'bob');
    const far = await accepted.promise;
    let written = 0;
    const block = randomBytes(64 * 1024);
    const pump = (): void => {
      while (written < 32 * 2 ** 20) {
        written += block.length;
        if (!conduit.write(block, true)) return;
      }
      conduit.end();
    };
    conduit.attach({ data: () => undefined, drain: pump, end: () => undefined, closed: () => undefined });
    pump();
    // A ping passes, so one slow reader holds up nobody else; and by its answer all that could pass has passed.
    for (let round = 0; round < 5; round++) await alice.tunnels.ping('bob', new Deadline(5000));
    expect(written).toBeLessThan(2 ** 20);
    let received = 0;
    await new Promise<void>((resolve) => {
      far.attach({
        data: (piece) => {
          received += piece.length;
        },
        drain: () => undefined,
        end: () => {
          far.end();
          resolve();
        },
        closed: () => undefined,
      });
    });
    expect(received).toBe(32 * 2 ** 20);
  });

  it('opens and resets a thousand streams and keeps nothing of them', async () => {
    bob.stream = (inbound) => void inbound.accept();
    const conduits = await Promise.all(Array.from({ length: 1000 }, () => openStream(alice, 'bob')));
    for (const conduit of conduits) conduit.reset();
    bob.stream = (inbound) => inbound.accept().end();
    const last = await openStream(alice, 'bob');
    expect(await collect(last, { endWithPeer: true })).toMatchObject({ how: 'closed' });
    expect(bob.tunnels.counters.violations).toBe(0);
  });

  it('keeps its bytes over a path with delay, and measures it', async () => {
    const relay = await Relay.start({ target: { host: '127.0.0.1', port: bob.tunnels.port }, delay: 20 });
    network.moveTo('bob', [relay.endpoint]);
    const blocks = Array.from({ length: 64 }, () => randomBytes(128 * 1024));
    const outcome = await exchange(await openStream(alice, 'bob'), blocks);
    expect(outcome.digest).toBe(digest(blocks));
    expect(await alice.tunnels.ping('bob', new Deadline(5000))).toBeGreaterThan(35_000);
    relay.close();
  });
});
