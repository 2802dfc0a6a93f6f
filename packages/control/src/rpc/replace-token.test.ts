import { status } from '@grpc/grpc-js';
import { decodeJoinToken } from '@weft/proto';
import { adminService, errorDetails, timestampToWire } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import type { TokenState } from '../state/types.ts';
import { redis, refusal, startAdmin } from './admin.fixture.ts';

test('a token is replaced by one that is shown once, and listed as replaced; its member tells which it hangs on', async () => {
  const bench = await startAdmin();
  try {
    await bench.ask(adminService.apply, {
      mesh: { network: 'prod', services: [redis], agents: [{ name: 'a', services: ['web'] }] },
    });
    const leaked = await bench.ask(adminService.createToken, { network: 'prod', services: ['redis'], reusable: true });
    const host = await bench.state.join({
      ...{ token: bench.state.token(leaked.tokenId) as TokenState, host: 'a', version: '' },
      ...{ identityKey: new Uint8Array(32).fill(1), tunnelKey: new Uint8Array(32).fill(2) },
    });
    const other = await bench.ask(adminService.replaceToken, { tokenId: leaked.tokenId });
    expect(decodeJoinToken(other.token)).toMatchObject({ addresses: ['127.0.0.1:7400'], id: other.tokenId });
    expect(decodeJoinToken(other.token).secret).not.toBe(decodeJoinToken(leaked.token).secret);
    expect(other).toMatchObject({ hosts: ['a'], revision: host.revision + 1, stragglers: ['slow'] });
    await bench.ask(adminService.grantServices, { agent: 'a', services: ['kind:web'] });
    const [agent] = (await bench.ask(adminService.listAgents, {})).agents;
    expect(agent?.services).toEqual(['redis', 'web']);
    expect(agent?.rights).toMatchObject([
      { source: 1, tokenId: other.tokenId, services: ['redis'], sinceTime: timestampToWire(host.agent.joinedMs) },
      { source: 2, tokenId: '', services: ['kind:web'] },
      { source: 3, tokenId: '', services: ['web'], sinceTime: null },
    ]);
    const { tokens } = await bench.ask(adminService.listTokens, {});
    expect(tokens.map(({ tokenId, revoked, replacedBy }) => [tokenId, revoked, replacedBy])).toEqual([
      [other.tokenId, false, ''],
      [leaked.tokenId, true, other.tokenId],
    ]);
    const again = await refusal(bench.ask(adminService.replaceToken, { tokenId: leaked.tokenId }));
    expect([again.code, errorDetails(again).reason]).toEqual([status.FAILED_PRECONDITION, 'TOKEN_ENDED']);
    const ttl = { seconds: 366 * 86_400 };
    const late = await refusal(bench.ask(adminService.replaceToken, { tokenId: other.tokenId, ttl }));
    expect(errorDetails(late).fields).toMatchObject([{ field: 'ttl' }]);
    expect(await bench.ask(adminService.revokeToken, { tokenId: other.tokenId })).toMatchObject({ hosts: ['a'] });
  } finally {
    await bench.close();
  }
});
