import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHostPort, parseHostPort } from './endpoint.ts';
import { FormatError } from './errors.ts';
import type { Mesh } from './mesh.ts';
import { isHostName, isServiceName, publicHostProblem, toHostName } from './names.ts';
import { formatPortRange, parsePort } from './ports.ts';
import { parseDestination, parsePortedSelector, parseSelector, resolveSource } from './selector.ts';

describe('service names', () => {
  it.each(['a', 'redis', 'web-2', 'a'.repeat(50), 'hosted', 'discovery'])('%s is one', (name) => {
    expect(isServiceName(name)).toBe(true);
  });
  it.each([
    '',
    '2web',
    '-a',
    'a-',
    'Web',
    'a_b',
    'a.b',
    'a'.repeat(51),
    'db-discovery',
    'host',
    'internal',
    'internet',
    'a\n',
  ])('%j is none', (name) => {
    expect(isServiceName(name)).toBe(false);
  });
});

describe('host names', () => {
  it.each([
    ['Build-3.corp.example', 'build-3'],
    ['my_laptop', 'my-laptop'],
    ['3f2a1bc9d0e1', '3f2a1bc9d0e1'],
    ['--', 'unnamed'],
    ['', 'unnamed'],
    ['Änne', 'nne'],
  ])('of a system called %j is %s', (text, name) => {
    expect(toHostName(text)).toBe(name);
  });
  it('are valid, whatever the system is called', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => isHostName(toHostName(text))));
  });
});

describe('public hosts', () => {
  it.each(['shop.example.com', 'SHOP.example.com', 'localhost', '127.0.0.1', 'xn--bcher-kva.example'])(
    '%s is one',
    (host) => {
      expect(publicHostProblem(host)).toBeUndefined();
    },
  );
  it.each(['', '*.example.com', 'a.example:80', 'http://a', 'a..b', 'a.', '-a.b', 'a/b', `${'a.'.repeat(127)}a`])(
    '%s is none',
    (host) => {
      expect(publicHostProblem(host)).toBeDefined();
    },
  );
});

describe('ports', () => {
  it.each([
    [6379, 'tcp', 6379, 6379],
    ['6379', 'tcp', 6379, 6379],
    ['8125/udp', 'udp', 8125, 8125],
    ['80/tcp', 'tcp', 80, 80],
    ['5000-5010/tcp', 'tcp', 5000, 5010],
    ['5000-5010', 'tcp', 5000, 5010],
    ['65535', 'tcp', 65535, 65535],
  ] as const)('%s', (text, protocol, first, last) => {
    expect(parsePort(text)).toEqual({ protocol, first, last });
  });
  it.each(['', '0', '65536', '80-70/tcp', '1.5', -1, 1.5, '80/sctp', '80/', ' 80', '1-2-3', '1-99999', Number.NaN])(
    '%j is refused',
    (text) => {
      expect(() => parsePort(text)).toThrow(FormatError);
    },
  );
  it('are read back as they are written', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    fc.assert(
      fc.property(port, port, fc.constantFrom('tcp' as const, 'udp' as const), (a, b, protocol) => {
        const range = { protocol, first: Math.min(a, b), last: Math.max(a, b) };
        expect(parsePort(formatPortRange(range))).toEqual(range);
      }),
    );
  });
});

describe('HOST:PORT', () => {
  it.each([
    ['127.0.0.1:7400', '127.0.0.1', 7400],
    ['[::1]:7410', '::1', 7410],
    ['control.example.com:443', 'control.example.com', 443],
    ['0.0.0.0:0', '0.0.0.0', 0],
  ])('%s', (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port });
    expect(formatHostPort(host, port)).toBe(text);
  });
  it.each(['7400', 'a:', ':1', 'a:65536', '::1:80', '[::1]', '[nope]:1', 'a b:1', 'http://a:1', 'a:1\n'])(
    '%j is none',
    (text) => {
      expect(parseHostPort(text)).toBeUndefined();
    },
  );
});

describe('selectors', () => {
  it.each([
    ['*', { type: 'any' }],
    ['redis', { type: 'service', name: 'redis' }],
    ['kind:worker', { type: 'kind', name: 'worker' }],
    ['host:build-3', { type: 'host', name: 'build-3' }],
    ['tag:ci', { type: 'tag', name: 'ci' }],
    ['internet', { type: 'internet', name: 'internet' }],
    ['user:www-data', { type: 'user', name: 'www-data' }],
  ])('%s', (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
  });
  it.each([
    '',
    'internet:',
    'kind:',
    'kind:db',
    'host:',
    'host:A',
    'tag:',
    'tag:a b',
    'user:',
    'user:A',
    'user:a b',
    'uid:0',
    '**',
    'a:b:c',
  ])('%j is refused', (text) => {
    expect(() => parseSelector(text)).toThrow(FormatError);
  });
});

describe('selectors with ports', () => {
  it.each([
    ['rabbit:15672', 'rabbit', { protocol: 'any', first: 15672, last: 15672 }],
    ['statsd:8125/udp', 'statsd', { protocol: 'udp', first: 8125, last: 8125 }],
    ['sip:5060-5070/tcp', 'sip', { protocol: 'tcp', first: 5060, last: 5070 }],
    // Of services that are called as a sort of selectors is: no user, kind or service is called so.
    ['user:8080', 'user', { protocol: 'any', first: 8080, last: 8080 }],
    ['kind:8080', 'kind', { protocol: 'any', first: 8080, last: 8080 }],
    ['service:80', 'service', { protocol: 'any', first: 80, last: 80 }],
  ])('%s', (text, service, ports) => {
    expect(parsePortedSelector(text)).toEqual({ service, ports });
  });
  it.each(['rabbit', '*', 'kind:web', 'tag:2024', 'host:1', 'user:www-data'])('%s has none', (text) => {
    expect(parsePortedSelector(text)).toBeUndefined();
  });
  it.each(['rabbit:0', 'rabbit:65536', 'rabbit:80/sctp', 'Rabbit:80', ':80', 'rabbit:80-70'])(
    '%s is refused',
    (text) => {
      expect(() => parsePortedSelector(text)).toThrow(FormatError);
    },
  );
});

describe('destinations', () => {
  it('are a service, a port and a transport', () => {
    expect(parseDestination('redis:6379')).toEqual({ service: 'redis', port: 6379, protocol: 'tcp' });
    expect(parseDestination('statsd:8125/udp')).toEqual({ service: 'statsd', port: 8125, protocol: 'udp' });
  });
  it.each(['redis', 'redis:', ':1', 'redis:0', 'redis:1-2', 'Redis:1', 'redis:1/sctp', 'redis:70000'])(
    '%s is refused',
    (text) => {
      expect(() => parseDestination(text)).toThrow(FormatError);
    },
  );
});

describe('callers by name', () => {
  const web = { name: 'web', kind: 'web', ports: [], tags: [] } as const;
  const mesh: Pick<Mesh, 'services' | 'agents'> = {
    services: [web],
    agents: [{ name: 'build-3', tags: ['ci'], services: [] }],
  };
  it.each([
    ['web', { type: 'service', service: web }],
    ['host:build-3', { type: 'host', name: 'build-3', tags: ['ci'], services: [web] }],
    ['host:laptop', { type: 'host', name: 'laptop', tags: [], services: [] }],
    ['internet', { type: 'internet' }],
    ['redis', undefined],
    ['host:', undefined],
    ['kind:web', undefined],
    ['*', undefined],
  ])('%s', (text, source) => {
    const mayRun = (host: string): string[] => (host === 'build-3' ? ['gone', 'web'] : []);
    expect(resolveSource(text, mesh, mayRun)).toEqual(source);
  });
});
