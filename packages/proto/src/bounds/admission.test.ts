import { describe, expect, test } from 'vitest';
import { Admission, addressGroup } from './admission.ts';

function setUp(most: number, mostOfOne: number) {
  const admission = new Admission({ most, mostOfOne, graceMs: 0 });
  const evicted: string[] = [];
  const enter = (address: string, name = address) => admission.enter(address, () => void evicted.push(name));
  return { admission, evicted, enter };
}

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['::FFFF:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::9', '2001:db8:1:2'],
  ['2001:0db8:0001:0002:ffff::', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['', ''],
])('%s counts as %s', (address, group) => expect(addressGroup(address)).toBe(group));

describe('an address group', () => {
  test('has its share and no more of those that are served, however many addresses it has', () => {
    const { enter, evicted } = setUp(100, 3);
    for (let host = 1; host <= 3; host += 1) enter(`2001:db8:0:1::${host}`)?.busy();
    expect(enter('2001:db8:0:1::4')).toBeUndefined();
    expect(enter('2001:db8:0:2::4')).toBeDefined();
    expect(evicted).toEqual([]);
  });

  test('over its share puts out its own that waits the longest, and nobody else', () => {
    const { enter, evicted } = setUp(100, 2);
    enter('192.0.2.1', 'other');
    enter('192.0.2.9', 'first');
    const second = enter('192.0.2.9', 'second');
    second?.busy();
    second?.idle();
    expect(enter('192.0.2.9', 'third')).toBeDefined();
    expect(evicted).toEqual(['first']);
    expect(enter('192.0.2.9', 'fourth')).toBeDefined();
    expect(evicted).toEqual(['first', 'second']);
  });

  test('of loopback has no share of its own', () => {
    const { enter, evicted } = setUp(10, 1);
    for (const address of ['127.0.0.1', '127.0.0.1', '::ffff:127.0.0.1', '::1', '::1'])
      expect(enter(address)).toBeDefined();
    expect(evicted).toEqual([]);
  });

  test('gets its share back when its connections end', () => {
    const { enter, admission } = setUp(10, 1);
    const seat = enter('192.0.2.1');
    seat?.busy();
    expect(enter('192.0.2.1')).toBeUndefined();
    seat?.leave();
    seat?.leave();
    expect(admission.held).toBe(0);
    expect(enter('192.0.2.1')).toBeDefined();
  });
});

describe('when all is taken', () => {
  test('the longest unproved makes room, then the longest idle, and never one that is served', () => {
    const { enter, evicted, admission } = setUp(4, 4);
    const served = enter('192.0.2.1', 'served');
    served?.busy();
    const idle = enter('192.0.2.2', 'idle');
    idle?.busy();
    idle?.idle();
    enter('192.0.2.3', 'silent');
    enter('192.0.2.4', 'silent too');
    for (const host of [5, 6]) expect(enter(`192.0.2.${host}`, `new ${host}`)).toBeDefined();
    expect(evicted).toEqual(['silent', 'silent too']);
    for (const host of [7, 8]) enter(`192.0.2.${host}`, `new ${host}`)?.busy();
    expect(evicted).toEqual(['silent', 'silent too', 'new 5', 'new 6']);
    expect(enter('192.0.2.9', 'last')).toBeDefined();
    expect(evicted.at(-1)).toBe('idle');
    expect(admission.held).toBe(4);
  });

  test('one that has just come has time to ask: who has asked nothing since an answer makes room before it', () => {
    const admission = new Admission({ most: 3, mostOfOne: 3, graceMs: 60_000 });
    const evicted: string[] = [];
    const enter = (name: string) => admission.enter(`192.0.2.${name.length}`, () => void evicted.push(name));
    for (const name of ['i', 'ii']) {
      const seat = enter(name);
      seat?.busy();
      seat?.idle();
    }
    for (const name of ['new', 'newer', 'newest', 'the last']) enter(name);
    // Where nobody else is left it is the oldest of those who have just come.
    expect(evicted).toEqual(['i', 'ii', 'new']);
  });

  test('and all are served, a newcomer is turned away and counted', () => {
    const { enter, admission } = setUp(2, 2);
    for (const host of [1, 2]) enter(`192.0.2.${host}`)?.busy();
    expect(enter('192.0.2.3')).toBeUndefined();
    expect(admission.counters).toEqual({ refused: 1, evicted: 0 });
  });

  test('of those that wait there may be fewer, and who is served is none of them', () => {
    const admission = new Admission({ most: 100, mostOfOne: 100, mostWaiting: 2, graceMs: 0 });
    const evicted: number[] = [];
    const seats = [1, 2, 3, 4].map((host) => {
      const seat = admission.enter(`192.0.2.${host}`, () => void evicted.push(host));
      if (host === 1) seat?.busy();
      return seat;
    });
    expect([evicted, admission.held]).toEqual([[2], 3]);
    seats[3]?.busy();
    seats[3]?.idle();
    admission.enter('192.0.2.5', () => undefined);
    expect(evicted).toEqual([2, 3]);
  });

  test('one that was put out and says so afterwards changes nothing', () => {
    const { enter, admission } = setUp(1, 1);
    const first = enter('192.0.2.1');
    enter('192.0.2.2');
    first?.busy();
    first?.idle();
    first?.leave();
    expect(admission.held).toBe(1);
  });
});
