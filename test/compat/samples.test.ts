/** What the version before this one says, by its own bytes: read, and acted upon as it was meant. */
import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CAPABILITY, capabilityOf, compilePolicy, type NetmapItem, type Source } from '@weft/proto';
import {
  adminService,
  agentService,
  deltaFromWire,
  flowBatchFromWire,
  heardFromWire,
  itemDigest,
  meshFromWire,
  openFlowsFromWire,
  openFlowsQuestionFromWire,
  outcomesFromWire,
  type pb,
  reportFromWire,
  rulePlacesFromWire,
  standingFromWire,
  telemetryFromWire,
  triedPlacesFromWire,
} from '@weft/proto/wire';
import { describe, expect, test } from 'vitest';
import { decodeOpen, decodeRefusal } from '../../packages/agent/src/protocol/mux/opening.ts';
import { loadSmallCipher, SmallKey } from '../../packages/agent/src/protocol/noise/small-cipher.ts';
import { RecordOpener } from '../../packages/agent/src/protocol/record/record.ts';
import { decodeGreeting } from '../../packages/agent/src/tunnel/greeting.ts';
import { acceptFlows } from '../../packages/control/src/watch/flow-intake.ts';
import { claims, codes, items, records, report, request, telemetry } from './capability-1.ts';
import { told } from './capability-2.ts';
import { itemsOf, mesh, openFlow, question } from './capability-3-to-6.ts';
import {
  claimsOfUsers,
  itemsOf as itemsOfUsers,
  OUTCOMES,
  PLACES,
  recordsOfUsers,
  reportOf,
  SEALING,
  sealed,
} from './capability-7-to-10.ts';

type Samples = Readonly<Record<string, readonly string[]>>;
const samplesOf = (capability: number): Samples => {
  const file = join(import.meta.dirname, '..', 'fixtures', `capability-${capability}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Samples;
};
const [first, second] = [samplesOf(1), samplesOf(2)];
const bytesOf = (name: string, samples = first): Buffer[] =>
  (samples?.[name] ?? []).map((text) => Buffer.from(text, 'base64'));

const { join: joining, connect } = agentService;
const ofAgent = bytesOf('ofAgent').map(connect.requestDeserialize);
const ofControl = bytesOf('ofControl').map(connect.responseDeserialize);

function only<M extends object, K extends keyof M>(messages: readonly M[], key: K): NonNullable<M[K]>[] {
  return messages.flatMap((message) => message[key] ?? []) as NonNullable<M[K]>[];
}

test('an agent joins, says who it is and where it stands, and is of capability 1', () => {
  const [asked] = bytesOf('joinRequest').map(joining.requestDeserialize);
  expect(asked).toMatchObject({ tokenId: 'tk_1', host: 'data-1', services: ['redis'], roles: [1], version: '0.1.0' });
  expect(capabilityOf(asked?.capability)).toBe(1);
  const [hello] = only(ofAgent, 'hello');
  expect(capabilityOf(hello?.capability)).toBe(1);
  expect(heardFromWire(hello as pb.Hello)).toMatchObject({ timeline: 't1', revision: 7 });
  const [standing] = only(ofAgent, 'standing');
  expect(standingFromWire(standing as pb.Standing).inventory.has('service/redis')).toBe(true);
  expect(reportFromWire(standing?.report)).toEqual(report);
});

test('what an agent tells is read as it was told', () => {
  expect(only(ofAgent, 'report').map(reportFromWire)).toEqual([report]);
  expect(only(ofAgent, 'telemetry').map(telemetryFromWire)).toEqual([telemetry]);
  const [batch] = only(ofAgent, 'flows');
  expect(flowBatchFromWire(batch)).toEqual({ records, dropped: 5, rejected: [] });
  expect(acceptFlows(batch as pb.FlowBatch, 'data-1')).toEqual({ records, dropped: 5, refused: 0 });
  expect(only(ofAgent, 'ack')).toEqual([expect.objectContaining({ index: 1, revision: 7, kept: true })]);
  expect(only(ofAgent, 'resync')).toEqual([expect.objectContaining({ reason: 'a gap' })]);
  expect(only(ofAgent, 'trace')).toEqual([expect.objectContaining({ reachable: true, roundTripUs: 300 })]);
});

test('what control sends is enforced as it was meant', () => {
  const [joined] = bytesOf('joinResponse').map(joining.responseDeserialize);
  expect(joined).toMatchObject({ agentId: 'ag_1', network: 'prod', ephemeral: true });
  expect([joined, only(ofControl, 'challenge')[0]].map((each) => capabilityOf(each?.capability))).toEqual([1, 1]);
  const [whole, change] = only(ofControl, 'delta').map((delta) => deltaFromWire(delta));
  expect(whole?.rejected).toEqual([]);
  expect(whole?.delta.upserts).toEqual(items);
  expect(change?.delta).toMatchObject({ previous: 1, index: 2, upserts: [], removals: ['service/mailer'] });
  // Digests are of the bytes that came, so that nothing is sent again to who holds them.
  const [standing] = only(ofAgent, 'standing');
  const held = standingFromWire(standing as pb.Standing).inventory.get('service/redis');
  expect(itemDigest(whole?.encoded.get('service/redis') ?? new Uint8Array())).toEqual(held);

  const policy = items.find((item) => item.type === 'policy') as NetmapItem & { type: 'policy' };
  const { decide } = compilePolicy({ revision: 7, ...policy });
  const [redis, web] = items.flatMap((item) => (item.type === 'service' ? [item.service] : []));
  if (redis === undefined || web === undefined) throw new Error('no services');
  const rule = (source: Source, protocol: 'tcp' | 'udp', port: number): string =>
    decide(source, { service: redis, port, protocol }, '').rule;
  expect(rule({ type: 'service', service: web }, 'tcp', 6379)).toBe('cache');
  expect(rule({ type: 'service', service: web }, 'udp', 8125)).toBe('default');
  expect(rule({ type: 'host', name: 'build-3', tags: [], services: [] }, 'udp', 8125)).toBe('shut');
});

test('what ends or holds an agent is heard', () => {
  expect(ofControl.map((message) => Object.keys(message).join())).toEqual([
    ...['challenge', 'welcome', 'delta', 'delta', 'revoked', 'held', 'trace', 'flowsTaken'],
  ]);
  expect(only(ofControl, 'challenge')[0]?.acknowledgesFlows).toBe(true);
  expect(only(ofControl, 'held')[0]).toMatchObject({ retryMs: 1_000, unknown: true });
  expect(only(ofControl, 'flowsTaken')[0]?.sequence).toBe(6);
});

test('a tunnel begins and flows are opened and refused in it', () => {
  expect(bytesOf('greeting').map(decodeGreeting)).toEqual([
    { offer: { index: 7, packetLimit: 1_400 }, capability: 1 },
    { offer: { index: 0, packetLimit: 0 }, capability: 1 },
  ]);
  const asked = (['tcp', 'udp'] as const).flatMap((protocol) =>
    claims.map((source) => ({ request: { ...request, protocol, source }, window: protocol === 'tcp' ? 65_536 : 0 })),
  );
  expect(bytesOf('open').map(decodeOpen)).toEqual(asked);
  expect(bytesOf('refused').map(decodeRefusal)).toEqual(
    codes.map((code) => ({ code, rule: 'shut', revision: 7, detail: 'why' })),
  );
});

test('what capability 2 says of itself is heard, and an outcome that is not known is kept', () => {
  const asked = bytesOf('joinRequest', second).map(joining.requestDeserialize);
  const joined = bytesOf('joinResponse', second).map(joining.responseDeserialize);
  const agent = bytesOf('ofAgent', second).map(connect.requestDeserialize);
  const control = bytesOf('ofControl', second).map(connect.responseDeserialize);
  const said = [...asked, ...joined, ...only(agent, 'hello'), ...only(control, 'challenge')];
  expect(said.map(({ capability }) => capabilityOf(capability))).toEqual([2, 2, 2, 2]);
  expect(only(agent, 'flows').map((batch) => flowBatchFromWire(batch).records)).toEqual([told]);
  expect(bytesOf('greeting', second).map(decodeGreeting)).toEqual([
    { offer: { index: 7, packetLimit: 1_400 }, capability: 2 },
  ]);
});

test.each([3, 4, 5, 6, 7, 8, 9, 10])('what capability %i says of itself is heard', (capability) => {
  const samples = samplesOf(capability);
  const agent = bytesOf('ofAgent', samples).map(connect.requestDeserialize);
  const control = bytesOf('ofControl', samples).map(connect.responseDeserialize);
  const asked = bytesOf('joinRequest', samples).map(joining.requestDeserialize);
  const joined = bytesOf('joinResponse', samples).map(joining.responseDeserialize);
  const said = [...asked, ...joined, ...only(agent, 'hello'), ...only(control, 'challenge')];
  expect(said.map((each) => capabilityOf(each.capability))).toEqual(Array(4).fill(capability));
  expect(bytesOf('greeting', samples).map(decodeGreeting)).toMatchObject([{ capability }]);
});

test('every capability before this one has its sample', () => {
  for (let capability = 1; capability < CAPABILITY; capability++)
    expect(samplesOf(capability)).toHaveProperty('greeting');
});

describe.each([3, 4, 5, 6])('what capability %i says', (capability) => {
  const samples = samplesOf(capability);
  const agent = bytesOf('ofAgent', samples).map(connect.requestDeserialize);
  const control = bytesOf('ofControl', samples).map(connect.responseDeserialize);

  test('of open flows, asked and answered, is read as it was meant', () => {
    expect(only(control, 'openFlows').map(openFlowsQuestionFromWire)).toEqual([question]);
    expect(only(agent, 'openFlows').map(openFlowsFromWire)).toEqual([{ flows: [openFlow], omitted: 3 }]);
  });

  if (capability < 4) return;

  test('of rules is enforced as it was meant', () => {
    const [told] = only(control, 'delta').map((delta) => deltaFromWire(delta));
    expect([told?.rejected, told?.delta.upserts]).toEqual([[], itemsOf(capability)]);
    const policy = told?.delta.upserts.find((item) => item.type === 'policy');
    const services = told?.delta.upserts.flatMap((item) => (item.type === 'service' ? [item.service] : [])) ?? [];
    const [web] = services;
    if (policy === undefined || web === undefined) throw new Error('no rules');
    const { decide } = compilePolicy({ revision: 7, ...policy });
    const destination = { service: web, port: 3000, protocol: 'tcp' } as const;
    // Of a process of the host nobody knows which service it is, and one of them is denied it.
    expect(decide({ type: 'host', name: 'front-1', tags: [], services }, destination, '').rule).toBe('no-mail');
    const internet = capability < 5 ? 'builtin:ingress' : 'inside';
    expect(decide({ type: 'internet' }, destination, null).rule).toBe(internet);
  });

  if (capability < 6) return;

  test('of what hosts may run is taken as it was meant', () => {
    const [apply] = bytesOf('apply', samples).map(adminService.apply.requestDeserialize);
    expect(meshFromWire(apply?.mesh)).toEqual(mesh);
    // It says nothing of a file.
    expect(rulePlacesFromWire(apply ?? {})).toBeUndefined();
  });
});

describe.each([7, 8, 9, 10])('what capability %i says', (capability) => {
  const samples = samplesOf(capability);
  const agent = bytesOf('ofAgent', samples).map(connect.requestDeserialize);
  const control = bytesOf('ofControl', samples).map(connect.responseDeserialize);

  test('of users is enforced, and kept, as it was meant', () => {
    const [told] = only(control, 'delta').map((delta) => deltaFromWire(delta));
    expect([told?.rejected, told?.delta.upserts]).toEqual([[], itemsOfUsers(capability)]);
    const policy = told?.delta.upserts.find((item) => item.type === 'policy');
    const service = told?.delta.upserts.flatMap((item) => (item.type === 'service' ? [item.service] : []))[0];
    if (policy === undefined || service === undefined) throw new Error('no rules');
    const { decide } = compilePolicy({ revision: 7, ...policy });
    const host = { type: 'host', name: 'front-1', tags: [], services: [] } as const;
    const ruleFor = (user: string | null): string => decide(host, { service, port: 6379, protocol: 'tcp' }, user).rule;
    // Of whom it is not known, nobody can say that it is not the one.
    expect(['deploy', 'other', null].map(ruleFor)).toEqual(['no-deploy', 'default', 'no-deploy']);
    expect(only(agent, 'flows').map((batch) => flowBatchFromWire(batch).records)).toEqual([recordsOfUsers]);
    expect(bytesOf('open', samples).map(decodeOpen)).toEqual(
      claimsOfUsers.map((source) => ({ request: { ...request, protocol: 'tcp', source }, window: 65_536 })),
    );
  });

  test('of a host is read as it was told', () => {
    expect(only(agent, 'report').map(reportFromWire)).toEqual([reportOf(capability)]);
  });

  if (capability < 8) return;

  test('and seals is opened, small and large in one order', async () => {
    await loadSmallCipher();
    const small = new SmallKey(Buffer.from(SEALING.small));
    const opened: Buffer[] = [];
    const opener = new RecordOpener({ cipher: 'AESGCM', key: createSecretKey(SEALING.key), small }, (pieces) =>
      opened.push(Buffer.concat(pieces)),
    );
    for (const record of bytesOf('sealed', samples)) opener.push(record);
    expect(opened).toEqual(sealed);
  });

  if (capability < 9) return;

  test('of exposed places is asked and answered as it was meant', () => {
    expect(only(control, 'tryPlaces').map(triedPlacesFromWire)).toEqual([PLACES]);
    expect(only(agent, 'tryPlaces').map(outcomesFromWire)).toEqual([OUTCOMES]);
  });
});
