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
import type { EnrollErrorCode } from './errors.ts';
import { createJoinToken } from './tokens.ts';

let clock: number;
let state: StateStore;
let enroller: Enroller;

beforeEach(() => {
  clock = 1_700_000_000_000;
  const now = (): number => clock;
  state = openState({ store: Store.inMemory(), now });
  enroller = new Enroller({ state, now, logger: pino({ level: 'silent' }) });
  const mesh: Mesh = { network: 'prod', services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
  state.apply(mesh, { dryRun: false, actor: 'control' });
});

function token(rest: Partial<TokenScope> = {}): { id: string; secret: string } {
  const scope = { network: 'prod', services: [], host: '', roles: [], reusable: false, ephemeral: false, ...rest };
  const made = createJoinToken(state, {
    scope,
    lifetimeMs: 60_000,
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

function refusal(request: JoinRequest): EnrollErrorCode | undefined {
  try {
    enroller.join(request, 'test');
    return undefined;
  } catch (error) {
    return (error as { code: EnrollErrorCode }).code;
  }
}

describe('a token', () => {
  test('that is unknown and one with a wrong secret are not told apart', () => {
    const good = token();
    const messages = [
      { ...good, id: 'tk_0' },
      { ...good, secret: 'x'.repeat(43) },
    ].map((bad) => {
      try {
        enroller.join(ask(bad), 'test');
        return 'joined';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(messages[0]).toMatch(/knows no such join token/);
    expect(messages[1]).toBe(messages[0]);
  });

  test('expires, and a member that joined before may still ask again', () => {
    const [early, late] = [token({ reusable: true }), token()];
    const request = ask(early);
    const answer = enroller.join(request, 'test');
    clock += 60_000;
    expect(refusal(ask(late))).toBe('token-expired');
    expect(refusal(ask(early, { host: 'b' }))).toBe('token-expired');
    expect(enroller.join(request, 'test')).toEqual(answer);
  });

  test('is good once, for one host, unless reusable', () => {
    const once = token();
    const request = ask(once);
    const answer = enroller.join(request, 'test');
    expect(enroller.join(request, 'test')).toEqual(answer);
    expect(refusal(ask(once, { host: 'b' }))).toBe('token-used');
    const often = token({ reusable: true });
    for (const name of ['b', 'c']) expect(refusal(ask(often, { host: name }))).toBeUndefined();
  });

  test('that is revoked lets nobody in, not even who was in', () => {
    const made = token();
    const request = ask(made);
    enroller.join(request, 'test');
    state.revokeToken(made.id, 'control');
    expect(refusal(request)).toBe('token-revoked');
    expect(refusal(ask(made))).toBe('token-revoked');
  });

  test('bounds what is asked for', () => {
    const made = token({ services: ['redis'], host: 'a' });
    expect(refusal(ask(made, { services: ['redis', 'web'] }))).toBe('out-of-scope');
    expect(refusal(ask(made, { roles: ['gateway'] }))).toBe('out-of-scope');
    expect(refusal(ask(made, { host: 'b' }))).toBe('out-of-scope');
    expect(refusal(ask(token(), { services: ['redis'] }))).toBe('out-of-scope');
    const { agentId, host: name } = enroller.join(ask(made, { services: ['redis'], host: '' }), 'test');
    expect(name).toBe('a');
    expect(state.current.networks.get('prod')?.agents.get(agentId)).toMatchObject({
      services: ['redis'],
      roles: [],
    });
  });
});

describe('a host', () => {
  test('proves its key, over this very token and tunnel key', () => {
    const [one, other] = [token(), token()];
    expect(refusal(ask(one, { proof: ask(other).proof }))).toBe('proof-wrong');
    expect(refusal(ask(one, { tunnelKey: host().tunnelKey }))).toBe('proof-wrong');
  });

  test('may not take the name of a member, and is told what to do', () => {
    enroller.join(ask(token()), 'test');
    const made = token();
    expect(refusal(ask(made))).toBe('host-taken');
    expect(() => enroller.join(ask(made), 'test')).toThrow(/--host NAME.*weft revoke a/);
    expect(refusal(ask(made, { host: 'b' }))).toBeUndefined();
  });

  test('needs a good name from somewhere', () => {
    expect(refusal(ask(token(), { host: '' }))).toBe('invalid');
    expect(refusal(ask(token(), { host: 'Not A Name' }))).toBe('invalid');
  });

  test('that was revoked comes back only with a newer token', () => {
    const [box, often] = [host(), token({ reusable: true })];
    enroller.join(ask(often, {}, box), 'test');
    clock += 1;
    state.revokeAgent('prod', 'a', 'control');
    expect(refusal(ask(often, {}, box))).toBe('host-revoked');
    clock += 1;
    expect(refusal(ask(token(), {}, box))).toBeUndefined();
  });

  test('that was revoked does not come back under its old name with new keys and the same token', () => {
    const often = token({ reusable: true });
    enroller.join(ask(often), 'test');
    clock += 1;
    state.revokeAgent('prod', 'a', 'control');
    expect(refusal(ask(often))).toBe('host-revoked');
    // Nor with another one from before, be it made for that name; the token is good for other hosts still.
    expect(refusal(ask(often, { host: 'b' }))).toBeUndefined();
    clock += 1;
    expect(refusal(ask(token({ host: 'a' }), { host: '' }))).toBeUndefined();
  });

  test('with malformed keys is refused before anything is looked up', () => {
    expect(refusal(ask({ id: 'x', secret: 'y' }, { identityKey: new Uint8Array(31) }))).toBe('invalid');
    expect(refusal(ask({ id: 'x', secret: 'y'.repeat(5_000) }))).toBe('invalid');
  });
});

test('refusals are logged without any secret, and only the first of an address', () => {
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
  const logging = new Enroller({ state, now: () => clock, logger });
  const made = token();
  const refused = ask(made, { roles: ['gateway'] });
  const attempts = (peer: string): void => {
    for (let count = 0; count < 50; count += 1) expect(() => logging.join(refused, `${peer}:${count}`)).toThrow();
  };
  attempts('192.0.2.1');
  expect(lines.length).toBe(20);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'join-refused', code: 'out-of-scope', token: made.id });
  expect(lines.join()).not.toContain(made.secret);
  attempts('192.0.2.2');
  expect(lines.length).toBe(40);
});
