import { describe, expect, it } from 'vitest';
import { meshFromWire } from './mesh.ts';

describe('a mesh off the wire', () => {
  const service = { name: 'redis', kind: 2, ports: [{ protocol: 1, first: 1, last: 1 }] };
  it.each([
    ['no mesh', undefined, 'mesh'],
    ['a service of no kind', { services: [{ ...service, kind: 0 }] }, 'services.redis.kind'],
    [
      'a port out of range',
      { services: [{ ...service, ports: [{ protocol: 1, first: 70_000, last: 1 }] }] },
      'services.redis.ports[0]',
    ],
    [
      'an unknown action',
      {
        policies: [
          { name: 'a', action: 1 },
          { name: 'b', action: 7 },
        ],
      },
      'policies[1].action',
    ],
    ['an unknown default', { defaultAction: 7 }, 'default'],
    ['a test of no port', { tests: [{ from: { service: 'a' }, service: 'b', protocol: 1, expect: 1 }] }, 'tests[0].to'],
    ['5,001 services', { services: Array(5_001).fill(service) }, 'services'],
    ['33 tags', { agents: [{ name: 'h', tags: Array(33).fill('t') }] }, 'agents.h.tags'],
  ])('is refused for %s, in the words of the file', (_what, mesh, field) => {
    expect(() => meshFromWire(mesh)).toThrow(expect.objectContaining({ name: 'WireError', field }));
  });
  it('names all that is wrong, in order', () => {
    const wrong = {
      services: [
        { ...service, kind: 0, tags: ['ok', 'a\nb'], public: { port: 0 } },
        { name: 'web', kind: 9 },
      ],
      policies: [{ name: 'a', ports: [{ protocol: 9, first: 0 }] }],
      agents: [{ name: 'h', tags: Array(33).fill('t') }],
      tests: [{ service: 'b' }],
    };
    const fields = [
      'services.redis.kind',
      'services.redis.public.port',
      'services.redis.tags[1]',
      'services.web.kind',
      'policies[0].action',
      'policies[0].ports[0].protocol',
      'policies[0].ports[0]',
      'agents.h.tags',
      'tests[0].to',
      'tests[0].to',
      'tests[0].expect',
    ];
    expect(() => meshFromWire(wrong)).toThrow(
      expect.objectContaining({ code: 'wire-enum', fields: fields.map((field) => expect.objectContaining({ field })) }),
    );
  });
  it('names the first hundred of more', () => {
    const services = Array.from({ length: 5_000 }, (_, index) => ({ name: `s${index}` }));
    const fields = Array.from({ length: 100 }, (_, index) =>
      expect.objectContaining({ field: `services.s${index}.kind` }),
    );
    expect(() => meshFromWire({ services })).toThrow(expect.objectContaining({ fields }));
  });
  it('allows by default', () => {
    expect(meshFromWire({ network: 'prod' }).defaultAction).toBe('allow');
  });
});
