/** Real sockets of this machine, as a peer's. */
import { createServer, type Server } from 'node:net';
import type { Protocol, TriedPlace } from '@weft/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import { type FindPeer, PlaceTries } from './try-places.ts';

let server: Server;
let open = 0;
let heard = 0;

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('data', (bytes) => {
      heard += bytes.length;
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  open = typeof address === 'object' && address !== null ? address.port : 0;
});
afterAll(() => server.close());

const PEER = 'ag_peer';
const netmap = { ...sampleNetmap(), peers: peersAt('127.0.0.1:7410', '10.255.255.1:7410') };

function peersAt(...endpoints: readonly string[]) {
  const [some] = sampleNetmap().peers.values();
  if (some === undefined) throw new Error('the sample has no peer');
  return new Map([[PEER, { ...some, agentId: PEER, endpoints }]]);
}

const at = (address: string, port: number, protocol: Protocol = 'tcp'): TriedPlace => ({ address, port, protocol });
const here: FindPeer = () => Promise.resolve('127.0.0.1:7410');
const tried = (places: readonly TriedPlace[], find = here, peer = PEER, tries = new PlaceTries(find)) =>
  tries.try(netmap, peer, places, new AbortController().signal);

test('what listens answers, without a byte; what does not refuses; of datagrams nobody can tell', async () => {
  const places = [at('127.0.0.1', open), at('127.0.0.1', 1), at('127.0.0.1', open, 'udp')];
  expect(await tried(places)).toEqual(['answers', 'refused', 'untold']);
  expect(heard).toBe(0);
});

test.each<[string, TriedPlace[], FindPeer, string]>([
  ['an address that the netmap has for nobody', [at('127.0.0.2', 0)], here, PEER],
  ['a peer that is not known', [at('127.0.0.1', 0)], here, 'ag_other'],
  ['a peer that proved its key at another of its addresses', [at('10.255.255.1', 0)], here, PEER],
  ['a peer that cannot be reached', [at('127.0.0.1', 0)], () => Promise.reject(new Error('no way')), PEER],
])('nothing is tried of %s', async (_, places, find, peer) => {
  const all = places.map((place) => ({ ...place, port: open }));
  expect(await tried(all, find, peer)).toEqual(['not-tried']);
});

test('not more than so many in a minute', async () => {
  let now = 0;
  const tries = new PlaceTries(here, () => now);
  const many = Array.from({ length: 32 }, () => at('127.0.0.1', 1));
  const count = async () => (await tried(many, here, PEER, tries)).filter((outcome) => outcome === 'refused').length;
  const counts: number[] = [];
  for (let round = 0; round < 5; round++) counts.push(await count());
  expect(counts).toEqual([32, 32, 32, 32, 0]);
  now = 60_000;
  expect(await count()).toBe(32);
});
