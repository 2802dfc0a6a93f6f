import { randomFillSync } from 'node:crypto';
import type { Mesh } from '@weft/proto';
import { decodeJoinToken } from '@weft/proto';
import { joinProofMessage } from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { beforeEach, describe, expect, test } from 'vitest';
import { openState } from '../state/state.ts';
import type { StateStore, TokenScope } from '../state/types.ts';
import { Store } from '../store/store.ts';
import { Enroller, type JoinRequest } from './enroller.ts';
import type { EnrollError, EnrollErrorCode } from './errors.ts';
import { createJoinToken } from './tokens.ts';

let clock: number;
let state: StateStore;
let enroller: Enroller;

beforeEach(async () => {
  clock = 1_700_000_000_000;
  const now = (): number => clock;
  state = await openState({ store: Store.inMemory(), now });
  enroller = new Enroller({ state, now, logger: pino({ level: 'silent' }) });
  const mesh: Mesh = { network: 'prod', services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
  await state.apply(mesh, { dryRun: false, actor: 'control' });
});

async function token(rest: Partial<TokenScope> = {}, lifetimeMs = 60_000): Promise<{ id: string; secret: string }> {
  const scope = { network: 'prod', services: [], host: '', roles: [], reusable: false, ephemeral: false, ...rest };
  const made = await createJoinToken(state, {
    scope,
    lifetimeMs,
    absent: 'make',
    addresses: ['127.0.0.1:1'],
    pin: new Uint8Array(32),
    actor: 'control',
  });
  return decodeJoinToken(made.text);
}

interface Host {
  readonly identity: nacl.SignKeyPair;
  readonly tunnelKey: Uint8Array;
}

const host = (): Host => ({ identity: nacl.sign.keyPair(), tunnelKey: randomFillSync(new Uint8Array(32)) });

function ask(
  { id, secret }: { id: string; secret: string },
  rest: Partial<JoinRequest> = {},
  { identity, tunnelKey } = host(),
): JoinRequest {
  return {
    tokenId: id,
    tokenSecret: secret,
    identityKey: identity.publicKey,
    tunnelKey,
    proof: nacl.sign.detached(joinProofMessage(id, identity.publicKey, tunnelKey), identity.secretKey),
    host: 'a',
    services: [],
    roles: [],
    version: '1',
    ...rest,
  };
}

async function refusal(request: JoinRequest): Promise<EnrollErrorCode | undefined> {
  try {
    await enroller.join(request, 'test');
    return undefined;
  } catch (error) {
    return (error as { code: EnrollErrorCode }).code;
  }
}

describe('a token', () => {
  test('that is unknown and one with a wrong secret are not told apart', async () => {
    const good = await token();
    const messages: string[] = [];
    for (const bad of [
      { ...good, id: 'tk_0' },
      { ...good, secret: 'x'.repeat(43) },
    ]) {
      try {
        await enroller.join(ask(bad), 'test');
        messages.push('joined');
      } catch (error) {
        messages.push((error as Error).message);
      }
    }
    expect(messages[0]).toMatch(/knows no such join token/);
    expect(messages[1]).toBe(messages[0]);
  });

  test('is good for as long again as it was made for at most, when the clock is set back', async () => {
    const often = await token({ reusable: true });
    clock -= 60_000;
    expect(await refusal(ask(often))).toBeUndefined();
    clock -= 1;
    expect(await refusal(ask(often, { host: 'b' }))).toBe('token-early');
    clock -= 86_400_000;
    expect(await refusal(ask(often, { host: 'c' }))).toBe('token-early');
  });

  test('expires, and a member that joined before may still ask again', async () => {
    const [early, late] = [await token({ reusable: true }), await token()];
    const request = ask(early);
    const answer = await enroller.join(request, 'test');
    clock += 60_000;
    expect(await refusal(ask(late))).toBe('token-expired');
    expect(await refusal(ask(early, { host: 'b' }))).toBe('token-expired');
    expect(await enroller.join(request, 'test')).toEqual(answer);
  });

  test('is good once, for one host, unless reusable', async () => {
    const once = await token();
    const request = ask(once);
    const answer = await enroller.join(request, 'test');
    expect(await enroller.join(request, 'test')).toEqual(answer);
    expect(await refusal(ask(once, { host: 'b' }))).toBe('token-used');
    const often = await token({ reusable: true });
    for (const name of ['b', 'c']) expect(await refusal(ask(often, { host: name }))).toBeUndefined();
  });

  test('that is revoked lets nobody in, not even who was in', async () => {
    const made = await token();
    const request = ask(made);
    await enroller.join(request, 'test');
    await state.revokeToken(made.id, 'control');
    expect(await refusal(request)).toBe('token-revoked');
    expect(await refusal(ask(made))).toBe('token-revoked');
  });

  test('that lets run all names nothing of it, and refuses nothing that is not declared yet', async () => {
    const all = await token({ services: ['*'] });
    expect(await refusal(ask(all, { services: ['later'] }))).toBeUndefined();
    const spent = await token();
    await state.revokeToken(spent.id, 'control');
    expect(await refusal(ask(spent, { host: 'c', services: ['zzz'] }))).toBe('token-revoked');
  });

  test('bounds what is asked for', async () => {
    const made = await token({ services: ['redis'], host: 'a' });
    expect(await refusal(ask(made, { services: ['redis', 'web'] }))).toBe('out-of-scope');
    expect(await refusal(ask(made, { roles: [1] }))).toBe('out-of-scope');
    expect(await refusal(ask(made, { host: 'b' }))).toBe('out-of-scope');
    expect(await refusal(ask(await token(), { services: ['redis'] }))).toBe('out-of-scope');
    const { agentId, host: name } = await enroller.join(ask(made, { services: ['redis'], host: '' }), 'test');
    expect(name).toBe('a');
    expect(state.current.networks.get('prod')?.agents.get(agentId)).toMatchObject({
      services: ['redis'],
      roles: [],
    });
  });
});

describe('a member', () => {
  test('is given more by another token, and asks for no more than both permit', async () => {
    const box = host();
    const first = await token({ services: ['redis'], host: 'a' });
    const { agentId } = await enroller.join(ask(first, {}, box), 'test');
    const more = await token({ services: ['web'] });
    expect(await refusal(ask(more, { services: ['rabbit'] }, box))).toBe('out-of-scope');
    const again = await enroller.join(ask(more, { host: '', services: ['redis', 'web'] }, box), 'test');
    expect(again).toMatchObject({ agentId, host: 'a' });
    expect(state.current.networks.get('prod')?.agents.get(agentId)?.services).toEqual(['redis', 'web']);
    expect(await refusal(ask(await token({ host: 'b' }), { host: '' }, box))).toBe('out-of-scope');
  });

  test('that joins again by a token that it had does not get back what was taken', async () => {
    const box = host();
    const often = await token({ services: ['redis'], reusable: true });
    const { agentId } = await enroller.join(ask(often, {}, box), 'test');
    const services = () => state.current.networks.get('prod')?.agents.get(agentId)?.services;
    const by = { dryRun: false, actor: 'test' };
    await state.grantServices('prod', { agent: 'a', services: ['web'], take: false }, by);
    await state.grantServices('prod', { agent: 'a', services: ['redis'], take: true }, by);
    await enroller.join(ask(often, {}, { ...box, tunnelKey: host().tunnelKey }), 'test');
    expect(services()).toEqual(['web']);
    expect(await refusal(ask(often, { services: ['redis'] }, box))).toBe('out-of-scope');
  });

  test('of one network is let into no other by the same keys, and the token stays good', async () => {
    const box = host();
    await enroller.join(ask(await token({ reusable: true }), {}, box), 'test');
    const other = await token({ network: 'staging' });
    const refused = enroller.join(ask(other, {}, box), 'test');
    await expect(refused).rejects.toThrow(
      'the join token is of network staging, and this host is a of network prod; choose another directory with --data',
    );
    expect(await refusal(ask(other))).toBeUndefined();
  });
});

describe('a host', () => {
  test('proves its key, over this very token and tunnel key', async () => {
    const [one, other] = [await token(), await token()];
    expect(await refusal(ask(one, { proof: ask(other).proof }))).toBe('proof-wrong');
    expect(await refusal(ask(one, { tunnelKey: host().tunnelKey }))).toBe('proof-wrong');
  });

  test('may not take the name of a member, and is told what to do', async () => {
    await enroller.join(ask(await token()), 'test');
    const made = await token();
    expect(await refusal(ask(made))).toBe('host-taken');
    await expect(enroller.join(ask(made), 'test')).rejects.toThrow(/--host NAME.*weft revoke a/);
    expect(await refusal(ask(made, { host: 'b' }))).toBeUndefined();
  });

  test('needs a good name from somewhere', async () => {
    expect(await refusal(ask(await token(), { host: '' }))).toBe('invalid');
    expect(await refusal(ask(await token(), { host: 'Not A Name' }))).toBe('invalid');
  });

  test('that was revoked comes back only with a newer token', async () => {
    const [box, often] = [host(), await token({ reusable: true })];
    await enroller.join(ask(often, {}, box), 'test');
    clock += 1;
    await state.revokeAgent('prod', 'a', 'control');
    expect(await refusal(ask(often, {}, box))).toBe('host-revoked');
    clock += 1;
    expect(await refusal(ask(await token(), {}, box))).toBeUndefined();
  });

  test('that was revoked does not come back under its old name with new keys and the same token', async () => {
    const often = await token({ reusable: true });
    await enroller.join(ask(often), 'test');
    clock += 1;
    await state.revokeAgent('prod', 'a', 'control');
    expect(await refusal(ask(often))).toBe('host-revoked');
    // Nor with another one from before, be it made for that name; the token is good for other hosts still.
    expect(await refusal(ask(often, { host: 'b' }))).toBeUndefined();
    clock += 1;
    expect(await refusal(ask(await token({ host: 'a' }), { host: '' }))).toBeUndefined();
  });

  test.each([
    ['ahead', -3_600_000],
    ['right, in one millisecond with the revocation', 0],
    ['behind', 3_600_000],
  ])('that was revoked comes back only with a newer token, whatever clock made it: %s', async (_which, turnedMs) => {
    const long = (rest?: Partial<TokenScope>) => token(rest, 86_400_000);
    const box = host();
    const names = ['a', 'a', 'b'];
    const before = [await long({ reusable: true }), await long(), await long({ reusable: true })];
    for (let times = 0; times < 2; times++) {
      await enroller.join(ask(await long(), {}, box), 'test');
      clock += turnedMs;
      await state.revokeAgent('prod', 'a', 'control');
    }
    // By its key it is known under any name, and by its name with any keys.
    for (const [at, made] of before.entries()) {
      expect(await refusal(ask(made, { host: names[at] ?? '' }, box))).toBe('host-revoked');
    }
    for (const made of before.slice(0, 2)) expect(await refusal(ask(made))).toBe('host-revoked');
    const stage = await long({ network: 'stage' });
    expect(await refusal(ask(stage, {}, box))).toBeUndefined();
    // Nobody is in two networks.
    await state.revokeAgent('stage', 'a', 'control');
    clock -= 2 * turnedMs;
    expect(await refusal(ask(await long(), {}, box))).toBeUndefined();
  });

  test('that is wrong in several fields has each of them told, in the order of the message', async () => {
    const wrong = { tunnelKey: new Uint8Array(3), host: 'no!', services: ['redis', 'No'], roles: [1, 9] };
    const error: unknown = await enroller.join(ask({ id: 'x', secret: 'y' }, wrong), 'test').catch((thrown) => thrown);
    const { fields } = error as EnrollError;
    expect(fields.map(({ field }) => field)).toEqual(['tunnel_key', 'host', 'services[1]', 'roles']);
    expect(error).toMatchObject({ code: 'invalid', message: 'expected 32 bytes, got 3' });
  });

  test('with malformed keys is refused before anything is looked up', async () => {
    expect(await refusal(ask({ id: 'x', secret: 'y' }, { identityKey: new Uint8Array(31) }))).toBe('invalid');
    expect(await refusal(ask({ id: 'x', secret: 'y'.repeat(5_000) }))).toBe('invalid');
  });
});

test('refusals are logged without any secret, and only the first of an address', async () => {
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
  const logging = new Enroller({ state, now: () => clock, logger });
  const made = await token();
  const refused = ask(made, { roles: [1] });
  const attempts = async (peer: string): Promise<void> => {
    for (let count = 0; count < 50; count += 1)
      await expect(logging.join(refused, `${peer}:${count}`)).rejects.toThrow();
  };
  await attempts('192.0.2.1');
  expect(lines.length).toBe(20);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'join-refused', code: 'out-of-scope', token: made.id });
  expect(lines.join()).not.toContain(made.secret);
  await attempts('192.0.2.2');
  expect(lines.length).toBe(40);
});
