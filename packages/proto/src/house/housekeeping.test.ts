import { describe, expect, test } from 'vitest';
import { Housekeeping } from './housekeeping.ts';

const MIB = 1024 * 1024;

/** A thread whose memory and load the test sets, with a look a second. */
class FakeHouse {
  readonly collections: number[] = [];
  /** Of each, whether what only the start needed went. */
  readonly starts: boolean[] = [];
  /** When memory outside of the heap was given back with pages of files. */
  readonly returns: number[] = [];
  /** When it was without. */
  readonly trims: number[] = [];
  /** When it was told of a rest, and of its end. */
  readonly rests: [now: number, resting: boolean][] = [];
  readonly #housekeeping: Housekeeping;
  #now = 0;
  load = 0;
  heldMib = 60;
  /** What a collection leaves. */
  liveMib = 20;
  pauseMs = 80;
  residentMib = 120;
  /** Whether another thread works. */
  helped: boolean = false;
  /** What giving back leaves. */
  leastMib = 70;
  /** What trimming leaves: pages of files come back by themselves. */
  trimmedMib = 80;

  constructor(returning: boolean = true) {
    this.#housekeeping = new Housekeeping({
      now: () => this.#now,
      busy: () => this.load,
      alone: () => !this.helped,
      rests: (resting) => this.rests.push([this.#now, resting]),
      held: () => this.heldMib * MIB,
      collect: (start) => {
        this.collections.push(this.#now);
        this.starts.push(start);
        this.#now += this.pauseMs;
        this.heldMib = this.liveMib;
      },
      resident: () => this.residentMib * MIB,
      giveBack: returning
        ? (files) => {
            (files ? this.returns : this.trims).push(this.#now);
            this.residentMib = files ? this.leastMib : Math.min(this.residentMib, this.trimmedMib);
          }
        : undefined,
    });
  }

  pass(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.#now += 1_000;
      this.#housekeeping.look();
    }
  }
}

describe('housekeeping', () => {
  test('collects once after the start, when it has settled, and leaves an idle agent alone', () => {
    const house = new FakeHouse();
    house.load = 0.6;
    house.pass(5);
    expect(house.collections).toEqual([]);
    house.load = 0.001;
    house.pass(2);
    expect(house.collections).toEqual([]);
    house.pass(1);
    expect(house.collections).toHaveLength(1);
    house.heldMib += 7;
    house.pass(3_600);
    expect(house.collections).toHaveLength(1);
  });

  test('collects again when the heap has grown and a minute has passed since the load', () => {
    const house = new FakeHouse();
    house.pass(10);
    house.load = 0.9;
    house.heldMib = 67;
    house.pass(600);
    house.load = 0;
    // V8 forgets with it how what has just run is run fast.
    house.pass(59);
    expect(house.collections).toHaveLength(1);
    house.pass(1);
    // What the start needed goes, and what has run under load stays.
    expect(house.starts).toEqual([true, false]);
  });

  test('leaves what is hot to an agent that was busy from its start on', () => {
    const house = new FakeHouse();
    house.load = 0.9;
    house.pass(600);
    house.load = 0;
    house.pass(59);
    expect(house.starts).toEqual([]);
    house.pass(1);
    expect(house.starts).toEqual([false]);
  });

  test.each([
    ['its start on', 0],
    ['later on', 30],
  ])('bounds the garbage of an agent that never rests for a minute, from %s', (_when, quiet) => {
    const house = new FakeHouse();
    if (quiet === 0) house.load = 0.9;
    house.pass(Math.max(quiet, 60));
    const sizes: number[] = [];
    for (let burst = 0; burst < 72; burst++) {
      house.load = 0.06;
      house.heldMib += 10;
      house.pass(1);
      house.load = 0;
      house.pass(49);
      sizes.push(house.heldMib);
    }
    // Where V8 began, and then where the last collection left it, and less than 48 MiB more; each fifth burst has one.
    expect(Math.max(...sizes)).toBeLessThan(60 + 48);
    expect(Math.max(...sizes.slice(10))).toBeLessThan(20 + 48);
    expect(house.starts.filter((start) => !start)).toHaveLength(14);
  });

  test('collects the garbage of large bursts once a minute, however many there are', () => {
    const house = new FakeHouse();
    house.pass(120);
    const { length } = house.collections;
    for (let burst = 0; burst < 120; burst++) {
      house.load = 0.5;
      house.heldMib += 60;
      house.pass(1);
      house.load = 0;
      house.pass(4);
    }
    expect(house.collections.length - length).toBeGreaterThanOrEqual(9);
    expect(house.collections.length - length).toBeLessThanOrEqual(10);
  });

  test('a busy second between quiet ones begins the wait anew', () => {
    const house = new FakeHouse();
    for (let turn = 0; turn < 20; turn++) {
      house.load = 0;
      house.pass(2);
      house.load = 0.5;
      house.pass(1);
    }
    expect(house.collections).toEqual([]);
  });

  test('does not try again where a collection gave nothing back', () => {
    const house = new FakeHouse();
    house.liveMib = 60;
    house.pass(3_600);
    expect(house.collections).toHaveLength(1);
  });

  test('pauses take at most a fiftieth of the time, however fast the heap grows', () => {
    const house = new FakeHouse();
    house.pass(60);
    for (let second = 0; second < 600; second++) {
      house.heldMib += 10;
      house.pass(1);
    }
    expect(house.collections.length).toBeGreaterThan(10);
    expect((house.collections.length - 1) * house.pauseMs * 50).toBeLessThanOrEqual(600_000 + 50 * house.pauseMs);
  });

  test('gives back with what the start took, and again after each long rest before which the process grew', () => {
    const house = new FakeHouse();
    house.pass(10);
    expect(house.returns).toEqual([3_080]);
    // Of an idle agent, which goes on.
    house.residentMib += 15;
    house.pass(3_600);
    expect(house.returns).toHaveLength(1);
    for (const load of [0.9, 0.06]) {
      house.load = load;
      house.residentMib = 230;
      house.pass(600);
      const before = house.returns.length;
      house.load = 0;
      house.pass(9);
      expect(house.returns).toHaveLength(before);
      house.pass(1);
      expect(house.returns).toHaveLength(before + 1);
      expect(house.residentMib).toBe(70);
    }
  });

  test('gives back what malloc keeps free after a long rest before which it grew a little, and leaves files alone', () => {
    const house = new FakeHouse();
    house.pass(20);
    for (const grown of [84, 85.9]) {
      house.load = 0.5;
      house.residentMib = grown;
      house.pass(10);
      const { length } = house.trims;
      house.load = 0;
      house.pass(9);
      expect(house.trims).toHaveLength(length);
      house.pass(1);
      expect(house.trims).toHaveLength(length + 1);
      expect(house.residentMib).toBe(80);
    }
    // What is read again and what an idle agent throws away are no reason.
    house.residentMib = 83.9;
    house.pass(3_600);
    expect([house.returns.length, house.trims.length]).toEqual([1, 2]);
  });

  test('gives back what a collection has freed', () => {
    const house = new FakeHouse();
    house.pass(20);
    house.load = 0.5;
    house.heldMib = 67;
    house.pass(10);
    house.load = 0;
    house.pass(59);
    expect([house.collections.length, house.trims.length]).toEqual([1, 0]);
    house.pass(1);
    expect([house.collections.length, house.trims.length]).toEqual([2, 1]);
  });

  test('collects a minute after the load, once the thread that helped with it has ended, however little the heap grew', () => {
    const house = new FakeHouse();
    house.pass(20);
    for (const rest of [30, 90]) {
      house.load = 0.5;
      house.helped = true;
      house.pass(10);
      house.load = 0;
      const { length } = house.collections;
      house.pass(rest);
      expect(house.collections).toHaveLength(length);
      house.helped = false;
      house.pass(Math.max(60 - rest, 1) - 1);
      expect(house.collections).toHaveLength(length);
      const returns = house.returns.length;
      house.pass(1);
      expect([house.collections.length, house.returns.length]).toEqual([length + 1, returns + 1]);
    }
    house.pass(3_600);
    expect([house.starts, house.returns.length]).toEqual([[true, false, false], 3]);
  });

  test('rests while nothing works, and not while another thread does', () => {
    const house = new FakeHouse();
    house.pauseMs = 0;
    house.pass(10);
    house.load = 0.5;
    house.pass(2);
    house.load = 0;
    house.helped = true;
    house.pass(8);
    house.helped = false;
    house.pass(3_600);
    expect(house.rests).toEqual([
      [3_000, true],
      [11_000, false],
      [21_000, true],
    ]);
  });

  test('gives back once where that leaves all as it is, and after a long rest where it was busy from its start on', () => {
    const house = new FakeHouse();
    house.leastMib = 120;
    house.load = 0.9;
    house.pass(600);
    house.load = 0;
    house.pass(9);
    expect(house.returns).toEqual([]);
    house.pass(3_600);
    expect(house.returns).toHaveLength(1);
  });

  test('collects all the same where nothing else can be given back', () => {
    const house = new FakeHouse(false);
    house.pass(3_600);
    expect(house.collections).toHaveLength(1);
    house.residentMib = 500;
    house.pass(3_600);
    expect([house.collections.length, house.returns.length, house.trims.length]).toEqual([1, 0, 0]);
  });
});
