import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowRecord } from '@weft/proto';
import { afterAll } from 'vitest';
import { flow } from './flow.fixture.ts';
import { FLOW_LIMITS, type FlowLimits } from './limits.ts';
import { FlowPacker, unpack } from './packing.ts';
import { FlowStore, type StoreTrouble } from './store.ts';
import type { FlowQuery } from './types.ts';

export const NEVER = new AbortController().signal;
const root = mkdtempSync(join(tmpdir(), 'weft-flows-'));
afterAll(() => rmSync(root, { recursive: true }));
let made = 0;

/** A store with a clock that tests set. */
export class TestStore {
  readonly directory: string;
  readonly troubles: StoreTrouble[] = [];
  nowMs: number;
  /** By how much of that the clock was set, and did not run. */
  setAheadMs = 0;
  cursor: number;
  readonly store: FlowStore;

  constructor(limits: Partial<FlowLimits> = {}, directory = join(root, String(++made)), nowMs = 3_600_000_000) {
    this.nowMs = nowMs;
    this.directory = directory;
    this.store = new FlowStore({
      directory,
      limits: { ...FLOW_LIMITS, ...limits },
      now: () => this.nowMs,
      steady: () => this.nowMs - this.setAheadMs,
      trouble: (trouble) => this.troubles.push(trouble),
    });
    this.cursor = this.store.last;
  }

  write(network: string, records: readonly FlowRecord[]): Map<string, number> {
    const packer = new FlowPacker();
    for (const record of records) {
      packer.add(network, record, { cursor: ++this.cursor, atMs: this.nowMs, replaces: false });
    }
    return this.store.write(packer.pack());
  }

  replace(network: string, cursor: number, record: FlowRecord): void {
    const packer = new FlowPacker();
    packer.add(network, record, { cursor, atMs: this.nowMs, replaces: true });
    this.store.write(packer.pack());
  }

  async found(
    network: string,
    query: Partial<FlowQuery> = {},
  ): Promise<{ flows: [number, FlowRecord][]; older: boolean }> {
    const { packed, older } = await this.store.query(network, { filter: {}, limit: 1_000, ...query }, NEVER);
    return { flows: [...unpack(packed)].map(({ cursor, record }) => [cursor, record]), older };
  }

  async starts(query: Partial<FlowQuery> = {}): Promise<number[]> {
    return (await this.found('prod', query)).flows.map(([, { startedMs }]) => startedMs);
  }

  get files(): string[] {
    return this.filesOf('prod');
  }

  filesOf(network: string): string[] {
    const folder = join(this.directory, network);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((name) => !/-(wal|shm|journal|records)$/.test(name))
      .sort();
  }

  bytesOf(network: string): number {
    const folder = join(this.directory, network);
    return this.filesOf(network).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }
}

export const flows = (from: number, to: number): FlowRecord[] =>
  Array.from({ length: to - from + 1 }, (_, index) => flow(from + index));
