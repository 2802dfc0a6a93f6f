import { CONTROL_RANGE, itemKey, type NetmapDelta, type NetmapItem } from '@weft/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NetmapStore } from '../../netmap/store.ts';
import { ENFORCEMENT } from '../enforce.ts';
import { mergeDeltas, mergeUpdates, portable } from './merge-updates.ts';

const NAMES = ['redis', 'web', 'rabbit'] as const;

function item(name: string, address: number): NetmapItem {
  return { type: 'service', service: { name, kind: 'private', ports: [], tags: [] }, address };
}

const someDelta = fc
  .record({
    snapshot: fc.boolean(),
    removals: fc.uniqueArray(fc.constantFrom(...NAMES.map((name) => `service/${name}`))),
    upserts: fc.uniqueArray(
      fc.tuple(fc.constantFrom(...NAMES), fc.nat(9)).map(([name, at]) => item(name, CONTROL_RANGE.base + at)),
      { selector: itemKey },
    ),
  })
  .map((drawn, index = 1) => ({ timeline: 't', previous: 0, index, revision: 1, ...drawn }));

function storeAfter(...deltas: readonly (NetmapDelta | undefined)[]): ReadonlyMap<string, NetmapItem> {
  const start = { position: { timeline: 't', index: 0, revision: 0 }, items: [item('redis', CONTROL_RANGE.base)] };
  const store = new NetmapStore(CONTROL_RANGE, start, 0, ENFORCEMENT);
  for (const delta of deltas) if (delta !== undefined) store.apply(delta, true);
  return new Map(store.items);
}

describe('merged updates', () => {
  it('keep the newest services of the agent file', () => {
    const [first, second] = [new Map([['redis', { name: 'redis', targets: [] }]]), new Map()];
    expect(mergeUpdates({ services: first }, {})).toEqual({ services: first });
    expect(mergeUpdates({ services: first }, { services: second })).toEqual({ services: second });
  });

  it('have the effect of their changes one after the other', () => {
    fc.assert(
      fc.property(fc.array(someDelta, { minLength: 1, maxLength: 6 }), (deltas) => {
        const merged = deltas.reduce<NetmapDelta | undefined>(mergeDeltas, undefined);
        expect(storeAfter(merged)).toEqual(storeAfter(...deltas));
      }),
    );
  });

  it('end where the last one ends', () => {
    const base = { timeline: 't', snapshot: false, upserts: [], removals: [] };
    const merged = mergeDeltas(
      { ...base, previous: 3, index: 4, revision: 9 },
      { ...base, previous: 4, index: 5, revision: 11 },
    );
    expect(merged).toMatchObject({ previous: 3, index: 5, revision: 11 });
  });

  it('keep the last word on each spec, and the newest targets', () => {
    const spec = { service: 'redis', ordinal: undefined, address: '127.80.0.1', port: 1, protocol: 'tcp' } as const;
    const merged = mergeUpdates(
      {
        answering: new Set(['a']),
        firstUsers: new Map([['redis', 1]]),
        others: new Map([['redis tcp 127.0.0.1:1', 'bin']]),
        listeners: new Map([
          ['one', spec],
          ['two', spec],
        ]),
      },
      { answering: new Set(['b']), firstUsers: new Map(), others: new Map(), listeners: new Map([['one', null]]) },
    );
    expect(merged).toEqual({
      answering: new Set(['b']),
      firstUsers: new Map(),
      others: new Map(),
      listeners: new Map([
        ['one', null],
        ['two', spec],
      ]),
    });
  });

  it('carry keys without the memory around them', () => {
    const message = new Uint8Array(4_096).fill(7);
    const tunnelKey = message.subarray(100, 132);
    const peer = {
      ...({ type: 'peer', agentId: 'a1', host: 'data-1', tags: [], endpoints: [], roles: [] } as const),
      ...{ services: [], address: 0, tunnelKey, psk: message.subarray(200, 232) },
    };
    const [carried] = portable([peer]);
    expect(carried).toEqual(peer);
    expect(carried?.type === 'peer' && carried.tunnelKey.buffer.byteLength + carried.psk.buffer.byteLength).toBe(64);
  });
});
