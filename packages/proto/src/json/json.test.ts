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
