import { expect, test } from 'vitest';
import { EMPTY_AGENT_FILE, parseAgentFile } from './agent-file.ts';
import { fileChanges } from './file-changes.ts';

const FULL = `
services:
  redis: { targets: { 6379: "127.0.0.1:6380", 53/udp: "[::1]:5353" }, match: { user: redis } }
  mailer:
gateway: { http: "0.0.0.0:8080" }
zone: eu-1a
dns: { upstream: ["10.0.0.2", "10.0.0.3:5353"], private: [zen.spamhaus.org] }
exposure: { allow: [443, 8125/udp], tried-by-peers: true }
`;

test('every key of the file is told', () => {
  const file = parseAgentFile('weft.yaml', FULL);
  expect(fileChanges(file, file)).toEqual([]);
  const added = fileChanges(EMPTY_AGENT_FILE, file);
  expect(added.map(({ key, after }) => `${key}: ${after}`)).toEqual([
    'dns.private: zen.spamhaus.org',
    'dns.upstream: 10.0.0.2:53, 10.0.0.3:5353',
    'exposure.allow: 443/tcp, 8125/udp',
    'exposure.tried-by-peers: true',
    'gateway.http: 0.0.0.0:8080',
    'services.mailer: ',
    'services.redis: ',
    'services.redis.match.user: redis',
    'services.redis.targets.53/udp: [::1]:5353',
    'services.redis.targets.6379: 127.0.0.1:6380',
    'zone: eu-1a',
  ]);
  const removed = fileChanges(file, EMPTY_AGENT_FILE);
  expect(removed).toEqual(added.map(({ key, after }) => ({ key, before: after, after: null })));
});

test('a value that changed has both', () => {
  const [before, after] = ['zone: a', 'zone: b'].map((text) => parseAgentFile('weft.yaml', text));
  expect(before && after && fileChanges(before, after)).toEqual([{ key: 'zone', before: 'a', after: 'b' }]);
});
