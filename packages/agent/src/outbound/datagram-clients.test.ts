import { describe, expect, it } from 'vitest';
import { type Client, DatagramClients, ListenerClients } from './datagram-clients.ts';

function answered(listener: ListenerClients, key: string, now: number): Client {
  const client = listener.enter(key, now);
  if (client === undefined) throw new Error('no room');
  client.state = 'open';
  client.used(now);
  client.heard(now);
  return client;
}

const keys = (listener: ListenerClients) => [...listener].map(({ key }) => key);

describe('room for another client', () => {
  it('is made by the longest idle of the listener that has the most', () => {
    const all = new DatagramClients(5, () => {});
    const [crowd, quiet] = [new ListenerClients(all, 8_125), new ListenerClients(all, 8_125)];
    answered(quiet, 'q', 0);
    for (let at = 1; at <= 4; at++) answered(crowd, `c${at}`, at);
    crowd.get('c1')?.used(5);
    crowd.get('c1')?.heard(5);
    answered(crowd, 'c5', 6);
    expect([keys(crowd), keys(quiet)]).toEqual([['c1', 'c3', 'c4', 'c5'], ['q']]);
    answered(quiet, 'r', 7);
    expect([keys(crowd), keys(quiet)]).toEqual([
      ['c1', 'c4', 'c5'],
      ['q', 'r'],
    ]);
    expect(all.count).toBe(5);
  });

  it('is not made by those that open, or have waited for an answer less than a second', () => {
    const all = new DatagramClients(2, () => {});
    const listener = new ListenerClients(all, 8_125);
    const [opening, asking] = [listener.enter('opening', 0), listener.enter('asking', 0)];
    if (asking === undefined || opening === undefined) throw new Error('no room');
    asking.state = 'open';
    asking.used(0);
    expect(listener.enter('third', 999)).toBeUndefined();
    expect(listener.enter('third', 1_000)?.key).toBe('third');
    expect(keys(listener)).toEqual(['opening', 'third']);
  });

  it('is told of where it is made by one that may not be done, or by none', () => {
    let told = 0;
    const all = new DatagramClients(1, () => void told++);
    const listener = new ListenerClients(all, 8_125);
    answered(listener, 'served', 0);
    answered(listener, 'talks', 1);
    expect(told).toBe(0);
    listener.get('talks')?.used(2);
    expect(listener.enter('too soon', 3)).toBeUndefined();
    expect(told).toBe(1);
    expect(listener.enter('later', 2_000)).toBeDefined();
    expect(told).toBe(2);
    const denied = listener.get('later');
    if (denied !== undefined) denied.state = 'denied';
    expect(listener.enter('last', 4_000)).toBeDefined();
    expect(told).toBe(2);
  });

  it('comes back when a listener closes', () => {
    const all = new DatagramClients(2, () => {});
    const [one, other] = [new ListenerClients(all, 8_125), new ListenerClients(all, 8_125)];
    answered(one, 'a', 0);
    answered(one, 'b', 0);
    one.close();
    expect(all.count).toBe(0);
    answered(other, 'c', 0);
    expect(all.count).toBe(1);
  });
});

it('is idle after seconds once one question has its one answer, after two minutes where it goes back and forth, and after one otherwise', () => {
  const listener = new ListenerClients(new DatagramClients(10, () => {}), 8_125);
  const conversation = (questions: number, answers: number): Client => {
    const client = answered(listener, `${questions}/${answers}`, 0);
    for (let count = 1; count < questions; count++) client.used(0);
    for (let count = 1; count < answers; count++) client.heard(0);
    return client;
  };
  // A handshake, a game that has joined, a resolver's two questions, one that is told more than it asked.
  const clients = [conversation(1, 1), conversation(2, 2), conversation(2, 1), conversation(1, 2), conversation(6, 6)];
  const idleAt = (now: number) => clients.filter((client) => client.idle(now, 60_000)).map(({ key }) => key);
  const unanswered = listener.enter('6/0', 0);
  if (unanswered === undefined) throw new Error('no room');
  unanswered.state = 'denied';
  for (let count = 0; count < 6; count++) unanswered.used(0);
  clients.push(unanswered);
  expect([2_999, 3_000, 59_999].map(idleAt)).toEqual([[], ['1/1'], ['1/1']]);
  expect([60_000, 119_999].map(idleAt)).toEqual(Array(2).fill(['1/1', '1/2', '6/0']));
  expect(idleAt(120_000)).toHaveLength(clients.length);
});

it('is idle seconds after a resolver has all its answers, and a quarter of a minute after it had some or none', () => {
  const listener = new ListenerClients(new DatagramClients(10, () => {}), 53);
  const asked = (questions: number, answers: number): Client => {
    const client = listener.enter(`${questions}/${answers}`, 0);
    if (client === undefined) throw new Error('no room');
    client.state = 'open';
    for (let count = 0; count < questions; count++) client.used(0);
    for (let count = 0; count < answers; count++) client.heard(0);
    return client;
  };
  // One name; A and AAAA from one port; a forwarder; one answer of two was lost; one that nobody answers.
  const clients = [asked(1, 1), asked(2, 2), asked(40, 40), asked(2, 1), asked(3, 0)];
  const idleAt = (now: number) => clients.filter((client) => client.idle(now, 60_000)).map(({ key }) => key);
  expect(idleAt(2_999)).toEqual([]);
  expect([3_000, 14_999].map(idleAt)).toEqual(Array(2).fill(['1/1', '2/2', '40/40']));
  expect(idleAt(15_000)).toHaveLength(clients.length);
});

it('is made for who has less than a share by a crowd that never hears an answer', () => {
  const all = new DatagramClients(4, () => {});
  const [crowd, quiet] = [new ListenerClients(all, 8_125), new ListenerClients(all, 8_125)];
  for (const key of ['a', 'b', 'c', 'd']) {
    const client = crowd.enter(key, 0);
    if (client === undefined) throw new Error('no room');
    client.state = 'open';
    client.used(1_000);
  }
  // Among its own it waits, as anybody's question does.
  expect(crowd.enter('e', 1_001)).toBeUndefined();
  expect(quiet.enter('x', 1_001)).toBeDefined();
  expect([crowd.size, quiet.size]).toEqual([3, 1]);
});
