import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NetmapItem } from '../model/netmap.ts';
import { encodeDeltaMessage } from './delta.ts';
import { agentService } from './grpc.ts';
import { decodeItem, encodeItem } from './netmap.ts';

const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const item: fc.Arbitrary<NetmapItem> = fc.record({
  type: fc.constant('instance'),
  service: fc.constantFrom('redis', 'web'),
  ordinal: fc.nat(1_000),
  agentId: fc.constant('ag_1'),
  address: fc.integer({ min: 1, max: 0xffffffff }),
  healthy: fc.boolean(),
  notListening: fc.array(fc.constant({ protocol: 'tcp', first: 1, last: 65_535 } as const), { maxLength: 40 }),
});

test('is a ControlMessage that generated code reads back', () => {
  fc.assert(
    fc.property(
      fc.record({
        timeline: fc.string(),
        previous: number,
        index: number,
        revision: number,
        snapshot: fc.boolean(),
        receipt: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
        items: fc.array(item, { maxLength: 20 }),
        removals: fc.array(fc.string({ minLength: 1, maxLength: 200 })),
      }),
      ({ items, ...rest }) => {
        const bytes = encodeDeltaMessage({ ...rest, upserts: items.map(encodeItem) });
        const { delta } = agentService.connect.responseDeserialize(bytes);
        expect(delta).toMatchObject(rest);
        const again = agentService.connect.responseSerialize({ delta: delta ?? {} });
        expect(agentService.connect.responseDeserialize(again)).toEqual(
          agentService.connect.responseDeserialize(bytes),
        );
        expect(delta?.upserts).toHaveLength(items.length);
        expect(items.map(encodeItem).map(decodeItem)).toEqual(items);
      },
    ),
  );
});
