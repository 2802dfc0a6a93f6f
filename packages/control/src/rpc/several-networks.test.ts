/** Each test goes on from what the one before has left. */
import { status } from '@grpc/grpc-js';
import { adminService, errorDetails } from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminBench, redis, refusal, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

describe('with several networks', () => {
  test('a token makes its network only when that is asked for, and nothing when the order is wrong', async () => {
    expect(await bench.ask(adminService.createToken, { network: 'prod' })).toMatchObject({ networkCreated: false });
    await refusal(bench.ask(adminService.createToken, { network: 'stage', host: 'No' }));
    const misnamed = await refusal(bench.ask(adminService.createToken, { network: 'No' }));
    expect(errorDetails(misnamed).fields[0]?.field).toBe('network');
    expect([...bench.state.current.networks.keys()]).toEqual(['prod']);
    const misspelt = await refusal(bench.ask(adminService.createToken, { network: 'stage' }));
    expect([misspelt.code, misspelt.details]).toEqual([
      status.NOT_FOUND,
      'there is no network stage; there are: prod; weft apply makes one, and so does --new-network',
    ]);
    expect([...bench.state.current.networks.keys()]).toEqual(['prod']);
    const asked = { network: 'stage', newNetwork: true };
    for (const networkCreated of [true, false])
      expect(await bench.ask(adminService.createToken, asked)).toMatchObject({ networkCreated });
    expect(await bench.ask(adminService.createToken, { network: 'stage' })).toMatchObject({ networkCreated: false });
    const { mesh, revision } = await bench.ask(adminService.getMesh, { network: 'stage' });
    expect([mesh?.services, revision]).toEqual([[], 2]);
  });

  test('a request must name one, though nobody uses the other yet, and is told the flag', async () => {
    for (const method of [adminService.listServices, adminService.createToken, adminService.listTokens]) {
      const error = await refusal(bench.ask<unknown, unknown>(method as never, {}));
      expect(errorDetails(error).fields).toEqual([
        { field: 'network', message: 'several networks here (prod, stage): name one (--network)' },
      ]);
    }
  });

  test('a revocation names the token that still admits and who else has it, and takes both when asked', async () => {
    const { tokenId } = await bench.ask(adminService.createToken, { network: 'stage', reusable: true });
    const joinAs = async (host: string, byte: number): Promise<void> => {
      const token = bench.state.token(tokenId);
      if (token === undefined) throw new Error('the token is not there');
      const key = (salt: number): Uint8Array => new Uint8Array(32).fill(byte + salt);
      await bench.state.join({ token, host, identityKey: key(0), tunnelKey: key(100), version: '1' });
    };
    for (const [byte, host] of ['a', 'c', 'b', 'd'].entries()) await joinAs(host, byte + 1);
    expect(await bench.ask(adminService.revokeAgent, { network: 'stage', agent: 'a' })).toMatchObject({
      hosts: ['a'],
      admittingToken: tokenId,
      admittingTokens: [tokenId],
      joinedAlike: ['b', 'c', 'd'],
    });
    expect(await bench.ask(adminService.revokeAgent, { network: 'stage', agent: 'b', withToken: true })).toMatchObject({
      hosts: ['b', 'c', 'd'],
      joinedAlike: [],
    });
    expect([bench.state.token(tokenId)?.revoked, bench.state.current.networks.get('stage')?.agents.size]).toEqual([
      true,
      0,
    ]);
  });

  test('an agent is revoked by its identifier alone, by its host only with the network', async () => {
    const { tokenId } = await bench.ask(adminService.createToken, { network: 'stage' });
    const token = bench.state.token(tokenId);
    if (token === undefined) throw new Error('the token is not there');
    const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
    const { agent } = await bench.state.join({
      token,
      host: 'a',
      identityKey: key(1),
      tunnelKey: key(2),
      version: '1',
    });
    expect((await refusal(bench.ask(adminService.revokeAgent, { agent: 'a' }))).code).toBe(status.INVALID_ARGUMENT);
    const elsewhere = await refusal(bench.ask(adminService.revokeAgent, { network: 'prod', agent: agent.id }));
    expect(elsewhere.code).toBe(status.NOT_FOUND);
    expect(await bench.ask(adminService.revokeAgent, { agent: agent.id })).toMatchObject({ agentId: agent.id });
    expect((await refusal(bench.ask(adminService.revokeAgent, { agent: agent.id }))).code).toBe(status.NOT_FOUND);
  });
});
