import { randomBytes } from 'node:crypto';
import type { PeerItem } from '@weft/proto';
import { decodeItem, encodeItem, itemDigest } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { PeerEntry, SharedEntry } from './entry.ts';
import { service, tcp } from './network.fixture.ts';
import { PairKeys } from './pair-keys.ts';

const viewer = { agentId: 'ag_1', tunnelKey: new Uint8Array(randomBytes(32)), pairKeys: new PairKeys(randomBytes(32)) };

test('a peer’s bytes and digest are those of its item, the pair’s key included', () => {
  // Keys of one repeated byte, zeros among them, and others of the item's bytes that look like the key.
  for (const tunnelKey of [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(randomBytes(32))]) {
    const peer: PeerItem = {
      type: 'peer',
      agentId: 'ag_2',
      host: 'two',
      tags: ['eu'],
      tunnelKey,
      psk: new Uint8Array(0),
      endpoints: ['two.example:7410', '10.0.0.2:7410'],
      roles: ['gateway'],
      services: ['redis'],
      address: 0x7f500001,
    };
    const entry = new PeerEntry(peer);
    const whole = { ...peer, psk: viewer.pairKeys.of(tunnelKey, viewer.tunnelKey) };
    expect(decodeItem(entry.bytes(viewer))).toEqual(whole);
    expect(Buffer.from(entry.bytes(viewer))).toEqual(Buffer.from(encodeItem(whole)));
    expect(entry.digest(viewer)).toBe(Buffer.from(itemDigest(encodeItem(whole))).toString('hex'));
    expect(Buffer.from(entry.bareBytes()).includes(Buffer.from(whole.psk))).toBe(false);
  }
});

test('a shared item’s digest is the first 8 bytes of the SHA-256 of its bytes', () => {
  const item = { type: 'service', service: service('redis', 'private', tcp(6379)), address: 0x7f500001 } as const;
  const entry = new SharedEntry(item);
  expect(Buffer.from(entry.bytes())).toEqual(Buffer.from(encodeItem(item)));
  expect(entry.digest()).toBe(Buffer.from(itemDigest(encodeItem(item))).toString('hex'));
});
