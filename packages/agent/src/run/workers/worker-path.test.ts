import { createSocket } from 'node:dgram';
import { CONTROL_RANGE, formatAddress, type NetmapItem } from '@weft/proto';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../../../../examples/demo/ports.ts';
import { listenConduits } from '../../bytes/socket-listen.ts';
import { FlowRecorder } from '../../flows/recorder.ts';
import { ProblemBoard } from '../../observe/problems.ts';
import { type ListenerSpec, listenerKey } from '../../outbound/listener-spec.ts';
import { MainOwners } from './main-owners.ts';
import { mergeUpdates } from './merge-updates.ts';
import { createPacketWays, ThreadSteering } from './packet-steering.ts';
import { openWorkerPath } from './worker-path.ts';

const STATSD = CONTROL_RANGE.base + 7;
const NOBODY = { log: pino({ level: 'silent' }), limits: {}, logLevel: 'silent', metrics: false, native: true };

const service = (name: string, address: number, port: number): NetmapItem => ({
  type: 'service',
  service: { name, kind: 'private', ports: [{ protocol: 'udp', first: port, last: port }], tags: [] },
  address,
});
const items = (port: number): readonly NetmapItem[] => [
  {
    ...({ type: 'self', agentId: 'a1', network: 'prod', host: 'build-3', tags: [] } as const),
    ...{ address: CONTROL_RANGE.base + 3, services: ['web', 'mailer'], roles: [], controlAddresses: [] },
  },
  service('statsd', STATSD, port),
  service('web', CONTROL_RANGE.base + 8, port),
  service('mailer', CONTROL_RANGE.base + 9, port),
  {
    type: 'policy',
    defaultAction: 'allow',
    rules: [{ name: 'no-mailer', action: 'deny', from: ['mailer'], to: ['statsd'], ports: [] }],
  },
];

/** Of a host whose agent file has the mailer alone; services have this port. */
async function open(recorder: FlowRecorder, port: number) {
  const tunnels = await listenConduits({ host: '127.0.0.1', port: 0, share: 'first' }, (conduit) => conduit.reset());
  const [first, packets] = createPacketWays(2);
  if (first === undefined || packets === undefined) throw new Error('there are two threads');
  const steering = new ThreadSteering(0, first);
  const start = {
    ...NOBODY,
    ...{
      thread: 1,
      threads: 2,
      program: '',
      range: CONTROL_RANGE,
      network: 'prod',
      controls: ['127.0.0.1:7400'],
      packets,
    },
    netmap: { position: { timeline: 't', index: 1, revision: 1 }, items: items(port) },
    services: new Map([['mailer', { name: 'mailer', targets: [] }]]),
    tunnelSecret: new Uint8Array(32).fill(1),
    tunnel: { host: '127.0.0.1', port: tunnels.port },
    datagrams: true,
  };
  const path = await openWorkerPath(
    start,
    new MainOwners(() => {}),
    recorder,
    new ProblemBoard(NOBODY.log),
    NOBODY.log,
  );
  onTestFinished(() => {
    path.close('the test is over');
    steering.close();
    tunnels.close();
  });
  return path;
}

test('services that come with a netmap of the same revision are asked about by who was denied before', async () => {
  const recorder = new FlowRecorder();
  const address = formatAddress(STATSD);
  const port = await freePort();
  const path = await open(recorder, port);
  const listener: ListenerSpec = { service: 'statsd', ordinal: undefined, address, port, protocol: 'udp' };
  path.update({ listeners: new Map([[listenerKey(listener), listener]]) });
  await path.settled();
  const program = createSocket('udp4');
  onTestFinished(() => void program.close());
  const outcomes = () => recorder.recent().map(({ source, outcome }) => `${source} ${outcome}`);
  program.send('one', port, address);
  await expect.poll(outcomes).toEqual(['mailer denied']);

  const change = { timeline: 't', previous: 1, index: 2, revision: 1, snapshot: false, upserts: [], removals: [] };
  path.update(mergeUpdates({ services: new Map([['web', { name: 'web', targets: [] }]]) }, { netmap: change }));
  program.send('two', port, address);
  await expect.poll(outcomes).toContainEqual('web no-instance');
});
