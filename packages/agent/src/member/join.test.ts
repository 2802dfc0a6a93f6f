import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { ADDS_TOKENS, CAPABILITY, type JoinToken } from '@weft/proto';
import { type AgentHandlers, errorStatus, joinProofMessage, type pb } from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { loadIdentity } from './identity.ts';
import { join as joinNetwork } from './join.ts';
import { makeKeys } from './keys.ts';
import { KeptMembership, openMembership } from './membership.ts';

const logger = pino({ level: 'silent' });
const attempt = { fallbackHost: 'build-3', services: ['redis'], roles: [], version: '0.1.0' };
const controls: FakeControl[] = [];
let stop: AbortController;
let directory: string;
beforeEach(async () => {
  stop = new AbortController();
  directory = await mkdtemp(join(tmpdir(), 'weft-join-'));
});
afterEach(async () => {
  stop.abort();
  for (const control of controls.splice(0)) control.close();
  await rm(directory, { recursive: true });
});

async function serve(agent: Partial<AgentHandlers>): Promise<FakeControl> {
  const control = await startFakeControl({ agent, keys: makeTestKeys() });
  controls.push(control);
  return control;
}

function tokenFor(control: FakeControl, addresses = [control.address]): JoinToken {
  return { addresses, pin: control.pin, id: 'tk1', secret: 's'.repeat(43) };
}

describe('joining', () => {
  const granting = (seen: pb.JoinRequest[]): Partial<AgentHandlers> => ({
    join: (call, answer) => {
      seen.push(call.request);
      if (call.request.host === '') {
        answer({ code: status.INVALID_ARGUMENT, details: 'host: the token names no host and none was asked for' });
      } else answer(null, { agentId: 'a1', network: 'prod', host: call.request.host });
    },
  });

  test('proves its keys, and names itself only when the token does not', async () => {
    const seen: pb.JoinRequest[] = [];
    const control = await serve(granting(seen));
    const keys = makeKeys();
    const membership = await joinNetwork({ ...attempt, token: tokenFor(control), keys }, stop.signal);
    expect(membership).toMatchObject({
      agentId: 'a1',
      network: 'prod',
      host: 'build-3',
      ephemeral: false,
      revoked: false,
    });
    expect(seen.map(({ host }) => host)).toEqual(['', 'build-3']);
    const { identityKey, tunnelKey, proof, tokenId, services } = seen[1] as pb.JoinRequest;
    expect(services).toEqual(['redis']);
    const signed = joinProofMessage(tokenId, new Uint8Array(identityKey), new Uint8Array(tunnelKey));
    expect(nacl.sign.detached.verify(signed, new Uint8Array(proof), keys.identity.publicKey)).toBe(true);
  });

  test('takes the next free name where other agents of the host have the first', async () => {
    const taken = new Set(['build-3', 'build-3-2']);
    const control = await serve({
      join: (call, answer) => {
        const { host } = call.request;
        if (host === '') answer({ code: status.INVALID_ARGUMENT, details: 'host: the token names no host' });
        else if (taken.has(host)) answer({ code: status.ALREADY_EXISTS, details: `host ${host} has this name` });
        else answer(null, { agentId: 'a1', network: 'prod', host });
      },
    });
    const request = { ...attempt, token: tokenFor(control), keys: makeKeys() };
    expect((await joinNetwork(request, stop.signal)).host).toBe('build-3-3');
    for (let ordinal = 3; ordinal <= 9; ordinal += 1) taken.add(`build-3-${ordinal}`);
    expect((await joinNetwork(request, stop.signal)).host).toMatch(/^build-3-[0-9a-f]{8}$/);
  });

  test('does not pass over a name that was revoked, which may be its own of before, and says why it asked for that', async () => {
    const control = await serve({
      join: (call, answer) => {
        const { host } = call.request;
        if (host === '') answer({ code: status.INVALID_ARGUMENT, details: 'host: the token names no host' });
        else if (host === 'build-3') answer({ code: status.ALREADY_EXISTS, details: `host ${host} has this name` });
        else answer({ code: status.PERMISSION_DENIED, details: `host ${host} was revoked; make a new token for it` });
      },
    });
    const request = { ...attempt, token: tokenFor(control), keys: makeKeys() };
    await expect(joinNetwork(request, stop.signal)).rejects.toMatchObject({
      code: 'join-refused',
      message: `control at ${control.address} refused to let this host join as build-3-2, for another host is build-3: host build-3-2 was revoked; make a new token for it`,
    });
  });

  test('a name that the token gives is not exchanged for another', async () => {
    const seen: string[] = [];
    const control = await serve({
      join: (call, answer) => {
        seen.push(call.request.host);
        answer({ code: status.ALREADY_EXISTS, details: 'host db-1 has this name or key' });
      },
    });
    const request = { ...attempt, token: tokenFor(control), keys: makeKeys() };
    await expect(joinNetwork(request, stop.signal)).rejects.toMatchObject({ code: 'join-refused' });
    expect(seen).toEqual(['']);
  });

  test('tries the next address when one does not answer', async () => {
    const control = await serve(granting([]));
    const token = tokenFor(control, ['127.0.0.1:1', control.address]);
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).resolves.toMatchObject({
      agentId: 'a1',
    });
  });

  test('sends nothing to a control with another key', async () => {
    const seen: pb.JoinRequest[] = [];
    const control = await serve(granting(seen));
    const token = { ...tokenFor(control), pin: new Uint8Array(32).fill(1) };
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'token-wrong',
      message: expect.stringContaining('expected the control that made the token'),
    });
    expect(seen).toEqual([]);
  });

  test('of several addresses where another control answers at each, tells that its token is wrong, and what to do once', async () => {
    const [one, other] = [await serve({}), await serve({})];
    const token = { ...tokenFor(one, [one.address, other.address]), pin: new Uint8Array(32).fill(1) };
    const advice = 'check the address, or have a new token made if control was set up anew';
    const told = (address: string) =>
      `${address} shows a certificate other than the token's pin names; expected the control that made the token`;
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'token-wrong',
      message: `cannot join: ${told(one.address)}; ${told(other.address)}; ${advice}`,
    });
    // Of one where nobody listens, that too.
    const mixed = { ...token, addresses: [one.address, '127.0.0.1:1'] };
    await expect(joinNetwork({ ...attempt, token: mixed, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'control-unreachable',
      message: expect.stringMatching(
        /pin names; .*; control at 127\.0\.0\.1:1 cannot be reached: nobody listens there/,
      ),
    });
  });

  test('names every address when none answers', async () => {
    const control = await serve({});
    const token = tokenFor(control, ['127.0.0.1:1', '127.0.0.1:2']);
    await expect(joinNetwork({ ...attempt, token, keys: makeKeys() }, stop.signal)).rejects.toMatchObject({
      code: 'control-unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:1.*127\.0\.0\.1:2/),
    });
  });

  test("passes on control's refusal, and keeps the keys for another try", async () => {
    let answers = 0;
    const control = await serve({
      join: (call, answer) => {
        answers += 1;
        if (answers === 1) answer({ code: status.PERMISSION_DENIED, details: 'the token allows no service redis' });
        else answer(null, { agentId: 'a1', network: 'prod', host: call.request.host || 'named' });
      },
    });
    const request = { ...attempt, directory, token: tokenFor(control), logger };
    await expect(openMembership(request, stop.signal)).rejects.toMatchObject({
      code: 'join-refused',
      message: expect.stringContaining('refused to let this host join: the token allows no service redis'),
    });
    const kept = await loadIdentity(directory);
    expect(kept?.membership).toBeUndefined();
    const member = await openMembership(request, stop.signal);
    expect(member.keys).toEqual(kept?.keys);
    expect(member.membership.host).toBe('named');
    // From here on neither token nor control is needed.
    for (const control of controls.splice(0)) control.close();
    expect(await openMembership({ ...request, token: undefined }, stop.signal)).toEqual(member);
    expect(await openMembership(request, stop.signal)).toEqual(member);
    // Another control's token does not belong here.
    const foreign = { ...request.token, pin: new Uint8Array(32) };
    await expect(openMembership({ ...request, token: foreign }, stop.signal)).rejects.toMatchObject({
      code: 'token-wrong',
    });
    // A revoked agent comes back as a new one, with a new token only.
    const membership = new KeptMembership(directory, member, logger);
    await Promise.all([membership.keep({ host: 'renamed' }), membership.keep({ revoked: true })]);
    const again = async () => (await openMembership({ ...request, token: undefined }, stop.signal)).membership;
    expect(await again()).toEqual({ ...member.membership, host: 'renamed', revoked: true });
    // Neither undoes what the other kept, in whatever order they come.
    await membership.keep({ host: 'data-9' });
    expect(await again()).toEqual({ ...member.membership, host: 'data-9', revoked: true });
    expect(membership.current.host).toBe('data-9');
  });

  test('asks where it is told to before all that the token names, and comes back there', async () => {
    const control = await serve({
      join: (call, answer) => answer(null, { agentId: 'a1', network: 'prod', host: call.request.host || 'named' }),
    });
    const gone = '127.0.0.1:1';
    const request = { ...attempt, directory, token: { ...tokenFor(control, [gone]) }, logger };
    const { membership } = await openMembership({ ...request, control: control.address }, stop.signal);
    expect(membership.controlAddresses).toEqual([control.address, gone]);
    const moved = await openMembership({ ...request, control: '127.0.0.1:2' }, stop.signal);
    expect(moved.membership.controlAddresses).toEqual(['127.0.0.1:2', control.address, gone]);
  });

  test('of a newer token of the same control, takes where it is', async () => {
    const control = await serve({
      join: (call, answer) => answer(null, { agentId: 'a1', network: 'prod', host: call.request.host || 'named' }),
      connect: (call) => call.write({ challenge: { nonce: Buffer.alloc(32), capability: CAPABILITY } }),
    });
    const token = tokenFor(control);
    const request = { ...attempt, directory, token, logger };
    await openMembership(request, stop.signal);
    const addresses = ['control.example.com:7400', '10.0.0.9:7400'];
    const expected = [...addresses, control.address];
    const newer = await openMembership({ ...request, token: { ...token, id: 'tk2', addresses } }, stop.signal);
    expect(newer.membership.controlAddresses).toEqual(expected);
    // It is kept, and one of before leaves it so.
    const again = await openMembership(request, stop.signal);
    expect(again.membership.controlAddresses).toEqual(expected);
    // No names: what a resolver says to those is waited for.
    for (let port = 1; port <= 20; port++) {
      await openMembership({ ...request, token: { ...token, addresses: [`127.0.0.1:${port}`] } }, stop.signal);
    }
    const { membership } = await openMembership({ ...request, token: undefined }, stop.signal);
    expect([membership.controlAddresses.length, membership.controlAddresses[0]]).toEqual([16, '127.0.0.1:20']);
  });

  describe('with a token that a member is given', () => {
    const serving = async (capability: number, refusal?: Parameters<typeof errorStatus>[2]) => {
      const seen: pb.JoinRequest[] = [];
      const control = await serve({
        join: (call, answer) => {
          seen.push(call.request);
          if (seen.length > 1 && refusal !== undefined) answer(errorStatus(status.FAILED_PRECONDITION, 'no', refusal));
          else answer(null, { agentId: 'a1', network: 'prod', host: 'named' });
        },
        connect: (call) => call.write({ challenge: { nonce: Buffer.alloc(32), capability } }),
      });
      const request = { ...attempt, directory, token: tokenFor(control), logger };
      const member = await openMembership(request, stop.signal);
      const again = openMembership({ ...request, token: { ...request.token, id: 'tk2' } }, stop.signal);
      return { seen, member, again };
    };

    test('asks for what it permits, by the same keys, and stays who it is', async () => {
      const { seen, member, again } = await serving(CAPABILITY);
      expect(await again).toEqual(member);
      expect(seen.map(({ tokenId }) => tokenId)).toEqual(['tk1', 'tk2']);
      expect(seen[1]).toMatchObject({ identityKey: seen[0]?.identityKey, tunnelKey: seen[0]?.tunnelKey, services: [] });
    });

    test('asks no control of an older version, which would take away what the token does not permit', async () => {
      const { seen, member, again } = await serving(ADDS_TOKENS - 1);
      expect(await again).toEqual(member);
      expect(seen).toHaveLength(1);
    });

    test('starts as what it is where control refuses the token, but for one of another network', async () => {
      const { member, again } = await serving(CAPABILITY, { reason: 'token-expired' });
      expect(await again).toEqual(member);
    });

    test('does not start with a token of another network', async () => {
      const { again } = await serving(CAPABILITY, { reason: 'other-network' });
      await expect(again).rejects.toMatchObject({ code: 'token-wrong' });
    });
  });

  test('a first start needs a token', async () => {
    const request = { ...attempt, directory, token: undefined, logger };
    await expect(openMembership(request, stop.signal)).rejects.toMatchObject({ code: 'token-missing' });
  });

  test('leaves no token in the directory', async () => {
    const control = await serve(granting([]));
    const token = tokenFor(control);
    await openMembership({ ...attempt, directory, token, logger }, stop.signal);
    expect(await readFile(join(directory, 'identity.json'), 'utf8')).not.toContain(token.secret);
  });
});
