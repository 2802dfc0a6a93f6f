import { describe, expect, it } from 'vitest';
import { shareOf } from './share.ts';

describe('what a thread gets of the agent’s bounds', () => {
  it('is all of them for one thread', () => {
    expect(shareOf(0, 1)).toEqual({
      flows: 50_000,
      flowsOfPeer: 16_384,
      datagramClients: 16_384,
      tunnel: { poolSize: 4, dialledPerPeer: 16 },
    });
  });

  it.each([2, 3, 7, 64])('adds up to the agent’s with %i threads, and leaves no thread to one peer', (threads) => {
    const shares = Array.from({ length: threads }, (_, thread) => shareOf(thread, threads));
    expect(shares.reduce((sum, { flows }) => sum + flows, 0)).toBe(50_000);
    expect(shares.reduce((sum, { datagramClients }) => sum + datagramClients, 0)).toBe(16_384);
    for (const { flows, flowsOfPeer, tunnel } of shares) {
      expect(flowsOfPeer).toBeLessThan(flows);
      expect(tunnel.poolSize).toBeGreaterThanOrEqual(1);
    }
  });
});
