import { expect, test } from 'vitest';
import { adminService, durationToWire, timestampToWire } from '../wire/index.ts';
import { jsonMethods } from './index.ts';

const listFlows = jsonMethods.get(adminService.listFlows.path);

test('what an agent with a clock that is far off has told can be told on', () => {
  const far = Number.MAX_SAFE_INTEGER;
  const flow = { startTime: timestampToWire(far), duration: durationToWire(far), bytesSent: far };
  const bytes = adminService.listFlows.responseSerialize({ flows: [flow] });
  expect(JSON.parse(listFlows?.write(bytes) ?? '')).toEqual({
    flows: [{ startTime: '9999-12-31T23:59:59.999Z', duration: '315576000000s', bytesSent: '9007199254740991' }],
  });
});

test('all that a request has wrong is named, in its order', () => {
  const request = {
    mesh: {
      network: 5,
      services: [
        { name: 'a', kind: 'KIND_ODD', ports: [{ first: 1 }, { first: 'x', last: 70_000.5, extra: {} }] },
        { name: 'b', tags: ['eu', 7, '\ud800'], public: { responseTimeout: 'soon' } },
      ],
      policies: 'none',
      tests: [{ from: { host: 'a', service: 'b' } }],
    },
    terms: [],
    file: '\ud800',
    __proto: 1,
  };
  const fields = [
    'mesh.network',
    'mesh.services[0].kind',
    'mesh.services[0].ports[1].first',
    'mesh.services[0].ports[1].last',
    'mesh.services[0].ports[1].extra',
    'mesh.services[1].tags[1]',
    'mesh.services[1].tags[2]',
    'mesh.services[1].public.responseTimeout',
    'mesh.policies',
    'mesh.tests[0].from',
    'terms',
    'file',
    '__proto',
  ];
  const apply = jsonMethods.get(adminService.apply.path);
  expect(() => apply?.read(JSON.stringify(request))).toThrow(
    expect.objectContaining({ fields: fields.map((field) => expect.objectContaining({ field })) }),
  );
});

test('of many that are wrong the first hundred are named, and all are counted', () => {
  const services = Array.from({ length: 5_000 }, () => ({ nmae: 'a' }));
  const apply = jsonMethods.get(adminService.apply.path);
  const fields = Array.from({ length: 100 }, (_, index) =>
    expect.objectContaining({ field: `mesh.services[${index}].nmae` }),
  );
  const told = { fields, count: 5_000 };
  expect(() => apply?.read(JSON.stringify({ mesh: { services } }))).toThrow(expect.objectContaining(told));
});

test('what is wrong as a whole alone is told of the whole', () => {
  const getMesh = jsonMethods.get(adminService.getMesh.path);
  for (const text of ['[]', '{', '{"network":"a","network":"b"}'])
    expect(() => getMesh?.read(text)).toThrow(expect.objectContaining({ fields: [expect.any(Object)] }));
});
