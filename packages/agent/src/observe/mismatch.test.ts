import type { Service } from '@weft/proto';
import { describe, expect, test } from 'vitest';
import { parseAgentFile } from '../config/agent-file.ts';
import type { Netmap } from '../words/netmap.ts';
import { mismatches } from './mismatch.ts';

const redis: Service = {
  name: 'redis',
  kind: 'private',
  ports: [
    { protocol: 'tcp', first: 6379, last: 6379 },
    { protocol: 'udp', first: 100, last: 110 },
  ],
  tags: [],
};

function netmap(allowed: readonly string[]): Netmap {
  return {
    timeline: 'line',
    index: 1,
    revision: 7,
    self: {
      agentId: 'a1',
      network: 'prod',
      host: 'data-1',
      tags: [],
      address: '127.91.9.1',
      services: allowed,
      roles: [],
    },
    services: new Map([['redis', { service: redis, address: '127.91.0.1', instances: [] }]]),
    peers: new Map(),
    policy: {
      revision: 7,
      decide: () => {
        throw new Error('mismatches are no matter of policy');
      },
    },
    hostSource: () => {
      throw new Error('mismatches are no matter of who calls');
    },
  };
}

function found(content: string, allowed: readonly string[] = ['redis']): string[] {
  return mismatches(parseAgentFile('weft.yaml', content), netmap(allowed)).map(
    ({ code, subject, message }) => `${code} ${subject}: ${message}`,
  );
}

describe('an agent file against the word of control', () => {
  test('that it covers is no problem', () => {
    const content =
      'services: { redis: { targets: { 6379: "127.0.0.1:1", 105: "127.0.0.1:2", 110/udp: "127.0.0.1:3" } } }';
    expect(found(content)).toEqual([]);
  });

  test('tells a service that the mesh does not declare from one that the token does not allow', () => {
    expect(found('services: { nosuch: {} }')).toEqual([
      expect.stringMatching(/^service-not-declared nosuch: the mesh of network prod declares no service nosuch/),
    ]);
    expect(found('services: { redis: {} }', [])).toEqual([
      expect.stringMatching(/^service-not-allowed redis: control allows this host no service redis/),
    ]);
  });

  test('names each target that no declared port leads to', () => {
    const content = 'services: { redis: { targets: { 7777: "127.0.0.1:1", 105/tcp: "127.0.0.1:2" } } }';
    expect(found(content)).toEqual([
      expect.stringMatching(/^target-not-declared redis:7777: the mesh declares no port 7777 of redis/),
      expect.stringMatching(/^target-not-declared redis:105\/tcp: the mesh declares no port 105\/tcp of redis/),
    ]);
  });

  test('names a gateway that control does not allow', () => {
    expect(found('gateway: { http: "127.0.0.1:0" }')).toEqual([expect.stringMatching(/^gateway-not-allowed /)]);
  });
});
