import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NetmapItem } from '../model/netmap.ts';
import { itemKey } from '../model/netmap.ts';
import { deltaFromWire, deltaToWire, inventoryFromWire } from './delta.ts';
import { WireError } from './errors.ts';
import { flowFromWire } from './flow.ts';
import { adminService, agentService } from './grpc.ts';
import { meshFromWire } from './mesh.ts';
import { decodeItem, encodeItem } from './netmap.ts';
import { flowBatchFromWire, reportFromWire, reportToWire } from './report.ts';
import { anyDelta, anyReport } from './wire.fixture.ts';

describe('rubbish', () => {
  /** Bytes that often begin like a message: a valid one with bytes changed, or none at all. */
  const rubbish = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(anyDelta, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }))
      .map(([delta, changes]) =>
        altered(agentService.connect.responseSerialize({ delta: deltaToWire(delta) }), changes),
      ),
    fc
      .tuple(anyReport, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }))
      .map(([report, changes]) =>
        altered(agentService.connect.requestSerialize({ report: reportToWire(report) }), changes),
      ),
  );

  function altered(bytes: Buffer, changes: readonly (readonly [number, number])[]): Uint8Array {
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  }

  const readers: [string, (bytes: Buffer) => unknown][] = [
    ['an item', (bytes) => decodeItem(bytes)],
    ['a message of control', (bytes) => deltaFromWire(agentService.connect.responseDeserialize(bytes).delta)],
    ['a report', (bytes) => reportFromWire(agentService.connect.requestDeserialize(bytes).report)],
    ['flows', (bytes) => flowBatchFromWire(agentService.connect.requestDeserialize(bytes).flows)],
    ['a flow', (bytes) => flowFromWire(adminService.watchFlows.responseDeserialize(bytes).flow)],
    ['a standing', (bytes) => inventoryFromWire(agentService.connect.requestDeserialize(bytes).standing?.inventory)],
    ['an apply', (bytes) => meshFromWire(adminService.apply.requestDeserialize(bytes).mesh)],
  ];
  it.each(readers)('read as %s is a value or a WireError', (_what, read) => {
    fc.assert(
      fc.property(rubbish, (bytes) => {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('that was accepted encodes to what is accepted', () => {
    fc.assert(
      fc.property(rubbish, (bytes) => {
        let items: readonly NetmapItem[] = [];
        try {
          items = deltaFromWire(agentService.connect.responseDeserialize(Buffer.from(bytes)).delta).delta.upserts;
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
        for (const item of items) expect(itemKey(decodeItem(encodeItem(item)))).toBe(itemKey(item));
      }),
      { numRuns: 300 },
    );
  });
});
