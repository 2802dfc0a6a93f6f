import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAllowed, parseAgentFile, readAgentFile } from './agent-file.ts';
import { FileError } from './errors.ts';

function mistakes(content: string): string {
  try {
    parseAgentFile('weft.yaml', content);
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
  return '';
}

describe('an agent file', () => {
  test('says what runs here, where, and as whom', () => {
    const file = parseAgentFile(
      'weft.yaml',
      `services:
  redis:  { targets: { 6379: "127.0.0.1:6380", 8125/udp: "[::1]:8125" } }
  mailer: { match: { user: mailer } }
  web:
gateway: { http: "0.0.0.0:8080" }
`,
    );
    expect([...file.services.values()]).toEqual([
      {
        name: 'redis',
        targets: [
          { port: 6379, protocol: 'any', host: '127.0.0.1', targetPort: 6380 },
          { port: 8125, protocol: 'udp', host: '::1', targetPort: 8125 },
        ],
      },
      { name: 'mailer', targets: [], match: { user: 'mailer' } },
      { name: 'web', targets: [] },
    ]);
    expect(file.gateway).toEqual({ http: { host: '0.0.0.0', port: 8080 } });
  });

  test('an address in whichever way, as the system has it', () => {
    const hosts = (...written: readonly string[]) => {
      const targets = written.map((host, at) => `${at + 1}: "[${host}]:9"`).join(', ');
      const file = parseAgentFile('weft.yaml', `services: { a: { targets: { ${targets} } } }`);
      return file.services.get('a')?.targets.map(({ host }) => host);
    };
    expect(hosts('::ffff:127.0.0.1', '0:0::1', '2001:DB8::0:7')).toEqual(['127.0.0.1', '::1', '2001:db8::7']);
  });

  test('ports that are meant to be reached past Weft', () => {
    const file = parseAgentFile('weft.yaml', 'exposure: { allow: [443, 8125/udp] }');
    expect(file.exposure?.allow).toEqual([
      { port: 443, protocol: 'tcp' },
      { port: 8125, protocol: 'udp' },
    ]);
    expect(isAllowed(file, 'udp', 8125)).toBe(true);
    expect(isAllowed(file, 'tcp', 8125)).toBe(false);
    expect(mistakes('exposure: { allow: [7000-7003] }')).toContain('weft.yaml:1:21');
  });

  test('says where its host stands', () => {
    expect(parseAgentFile('weft.yaml', 'zone: eu-west-1a').zone).toBe('eu-west-1a');
    expect(parseAgentFile('weft.yaml', '').zone).toBeUndefined();
    expect(mistakes('zone: eu west')).toBe(
      'weft.yaml:1:7: zone: not a zone: expected 1 to 63 letters, digits, dots, underscores and hyphens, starting with a letter or digit',
    );
    expect(mistakes('zone: 7')).toBe('weft.yaml:1:7: zone: not a zone: expected a name');
  });

  test('may be empty: a host that only calls', () => {
    for (const content of ['', '# nothing\n', '{}\n', 'services:\n', 'services:\n#  redis: {}\n', 'services: {}\n'])
      expect(parseAgentFile('weft.yaml', content).services.size).toBe(0);
  });

  test.each([
    [
      'tags',
      'tags: [ci]\nservices:\n  a: { tags: [x] }\n',
      'weft.yaml:1:1: tags are given in the mesh file and not here, so that a host cannot choose its own rights: agents: { HOST: { tags: [..] } }\n' +
        'weft.yaml:3:8: services.a: tags are given in the mesh file and not here, so that a host cannot choose its own rights: agents: { HOST: { tags: [..] } }',
    ],
    [
      'the mesh file by mistake',
      'network: prod\nservices:\n  redis: { kind: private, ports: [6379] }\n',
      'weft.yaml:1:1: unknown key "network" (known here: services, gateway, zone, dns, exposure)\n' +
        'weft.yaml:3:12: services.redis: a kind is declared in the mesh file, not here\n' +
        'weft.yaml:3:27: services.redis: ports are declared in the mesh file; here "targets" says where they are served, such as { 6379: "127.0.0.1:6379" }',
    ],
    [
      'bad targets',
      'services:\n  a: { targets: { 1-2: "127.0.0.1:1", 6379: "db.example:6379", 5: 5, 6: "1.2.3.4:0", 7/tcp: "127.0.0.1:7", 7: "127.0.0.1:8" } }\n',
      'weft.yaml:2:45: services.a.targets.6379: expected an IP address and port, such as 127.0.0.1:6379, found the name db.example:6379\n' +
        'weft.yaml:2:67: services.a.targets.5: expected HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379, found the number 5\n' +
        'weft.yaml:2:73: services.a.targets.6: expected a port from 1 to 65535, found 0',
    ],
    [
      'bad target ports',
      'services:\n  a: { targets: { 1-2: "127.0.0.1:1", 7/tcp: "127.0.0.1:7", 7-7/tcp: "127.0.0.1:8" } }\n',
      'weft.yaml:2:17: services.a.targets: port 7/tcp has two targets, expected one\n' +
        'weft.yaml:2:19: services.a.targets: expected one port, such as 6379 or 8125/udp, found "1-2"',
    ],
    [
      'a match that says nothing',
      'services:\n  a: { match: {} }\n',
      'weft.yaml:2:15: services.a.match: expected user, unit, cgroup or command',
    ],
    [
      'a user by a bare number',
      'services:\n  a: { match: { user: 1000 } }\n',
      "weft.yaml:2:23: services.a.match.user: expected a user's name, or its number in quotes, found the number 1000",
    ],
    [
      'a control group that is no path',
      'services:\n  a: { match: { cgroup: jobs } }\n',
      'weft.yaml:2:25: services.a.match.cgroup: expected the path of a control group, such as /jobs/mailer, found "jobs"',
    ],
    [
      'a match that matches on nothing known',
      'services:\n  a: { match: { usr: x } }\n',
      'weft.yaml:2:17: services.a.match: unknown key "usr"; did you mean "user"? (known here: user, unit, cgroup, command)',
    ],
    [
      'a gateway without its address',
      'gateway: {}\n',
      'weft.yaml:1:10: gateway.http: missing; expected HOST:PORT, such as 127.0.0.1:6379 or [::1]:6379',
    ],
  ])('%s', (_name, content, message) => {
    expect(mistakes(content)).toBe(message);
  });
});

describe('a file that cannot be read', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weft-config-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test('is told by what is wrong with it', async () => {
    const missing = join(directory, 'none.yaml');
    await expect(readAgentFile(missing)).rejects.toThrow(`${missing}: no such file`);
    await expect(readAgentFile(directory)).rejects.toThrow(`${directory}: is a directory, expected a YAML file`);
    const binary = join(directory, 'binary.yaml');
    await writeFile(binary, Buffer.from([0xff, 0xfe, 0x00]));
    await expect(readAgentFile(binary)).rejects.toThrow(`${binary}: is not UTF-8 text`);
  });
});

describe('resolvers', () => {
  test.each([
    ['10.0.0.2', { host: '10.0.0.2', port: 53 }],
    ['10.0.0.2:5353', { host: '10.0.0.2', port: 5353 }],
    ['fe80::1%eth0', { host: 'fe80::1%eth0', port: 53 }],
    ['[::1]:5353', { host: '::1', port: 5353 }],
  ])('%s', (text, upstream) => {
    expect(parseAgentFile('weft.yaml', `dns: { upstream: ["${text}"] }`).dns).toEqual({ upstream: [upstream] });
  });

  test.each(['', 'dns.example', '10.0.0.2:0', '10.0.0.2:65536', '[::1]', ':53'])('%j is none', (text) => {
    const read = () => parseAgentFile('weft.yaml', `dns: { upstream: ["${text}"] }`);
    expect(read).toThrow('dns.upstream[0]: expected the address of a resolver');
  });

  test('an empty list names nobody', () => {
    expect(() => parseAgentFile('weft.yaml', 'dns: { upstream: [] }')).toThrow('expected a resolver at least');
  });
});

test('domains that answer by loopback addresses', () => {
  const read = (text: string) => parseAgentFile('weft.yaml', `dns: { private: [${text}] }`).dns;
  expect(read('zen.spamhaus.org, bl.example')).toEqual({ private: ['zen.spamhaus.org', 'bl.example'] });
  for (const wrong of ['"*.example"', 'org', '5', '"a..example"', '".org"']) {
    expect(() => read(wrong)).toThrow('dns.private[0]: expected a domain, such as zen.spamhaus.org, found');
  }
});
