import { CAPABILITY, type OpenFlow, type OpenFlowsQuestion, TELLS_OPEN_FLOWS } from '@weft/proto';
import { expect, test } from 'vitest';
import type { Actor } from '../audit/types.ts';
import { emptyState, joinHost, mesh, service, tcp } from '../netmap/network.fixture.ts';
import { type HostOpenFlows, type OpenFlowsPlace, OpenFlowsWalk } from './open-flows.ts';

const SIGNAL = new AbortController().signal;
const START: OpenFlowsPlace = [0, ''];

interface HostBehaviour {
  connected?: boolean;
  capability?: number;
  /** Answers nothing. */
  silent?: boolean;
  /** Recorded here; and handed over to others. */
  own?: readonly OpenFlow[];
  handedOver?: readonly OpenFlow[];
}

const flow = (id: number, sourceHost: string, destinationHost: string, service = 'redis'): OpenFlow => ({
  ...{ id: id.toString(16).padStart(16, '0'), source: 'web', sourceHost, service, instance: '', destinationHost },
  ...{ port: 6379, protocol: 'tcp', bytesSent: 0, bytesReceived: 0, ageMs: 1, idleMs: 1 },
  ...{ user: '', unit: '', program: '' },
});

async function setUp(hosts: Readonly<Record<string, HostBehaviour>>) {
  const state = await emptyState();
  await state.apply(mesh({ services: [service('redis', 'private', tcp(6379))] }), { dryRun: false, actor: 'control' });
  const names = new Map<string, string>();
  for (const host of Object.keys(hosts)) names.set((await joinHost(state, 'prod', { host })).agent.id, host);
  const asked: { readonly host: string; readonly question: OpenFlowsQuestion }[] = [];
  const of = (id: string): HostBehaviour => hosts[names.get(id) ?? ''] ?? {};
  let waiting = 0;
  let mostWaiting = 0;
  const walk = new OpenFlowsWalk({
    live: {
      agent: (id) => ({ connected: true, capability: CAPABILITY, ...of(id) }) as never,
      instance: () => undefined,
    },
    asker: {
      openFlows: async (id, question) => {
        asked.push({ host: names.get(id) ?? '', question });
        waiting += 1;
        mostWaiting = Math.max(mostWaiting, waiting);
        await new Promise((resolve) => setImmediate(resolve));
        waiting -= 1;
        const { silent, own = [], handedOver = [] } = of(id);
        const { handedOverTo } = question;
        const told = handedOverTo === undefined ? own : handedOver;
        const fit = told.filter(
          ({ destinationHost }) => !handedOverTo?.length || handedOverTo.includes(destinationHost),
        );
        return silent === true ? undefined : { flows: fit, omitted: 0 };
      },
    },
  });
  const network = () => state.current.networks.get('prod') ?? expect.unreachable();
  const idOf = (host: string): string => [...names].find(([, name]) => name === host)?.[0] ?? '';
  async function all(size = 100) {
    const told: HostOpenFlows[] = [];
    let place: OpenFlowsPlace | undefined = START;
    let pages = 0;
    while (place !== undefined) {
      const page: Awaited<ReturnType<typeof walk.page>> = await walk.page(network(), {}, place, size, 'read', SIGNAL);
      told.push(...page.hosts);
      place = page.next;
      pages += 1;
    }
    return { told, pages };
  }
  return { state, walk, network, asked, all, idOf, mostWaiting: () => mostWaiting };
}

test('each flow is told once, by the host that will record it', async () => {
  const { all } = await setUp({
    a: { own: [flow(1, 'a', 'a')], handedOver: [flow(2, 'a', 'b')] },
    b: { own: [flow(2, 'a', 'b')] },
  });
  const { told } = await all();
  expect(told.map(({ host, state, flows }) => [host, state, flows.map(({ id }) => Number(id))])).toEqual([
    ['a', 'told', [1]],
    ['b', 'told', [2]],
  ]);
});

test('hosts that cannot tell are named, and what others know of their flows is told at the end', async () => {
  const { all, asked } = await setUp({
    a: { handedOver: [flow(1, 'a', 'mute'), flow(2, 'a', 'old'), flow(3, 'a', 'away'), flow(4, 'a', 'b')] },
    away: { connected: false },
    b: { own: [flow(4, 'a', 'b')] },
    mute: { silent: true },
    old: { capability: TELLS_OPEN_FLOWS - 1 },
  });
  const { told } = await all();
  expect(told.map(({ host, state, flows }) => [host, state, flows.map(({ id }) => Number(id))])).toEqual([
    ['a', 'told', []],
    ['away', 'not-connected', []],
    ['b', 'told', [4]],
    ['mute', 'no-answer', []],
    ['old', 'older', []],
    ['a', 'told', [1, 2, 3]],
  ]);
  // One that cannot read the question is never asked, and one that was silent a moment ago is not waited for again.
  expect(asked.map(({ host, question }) => [host, question.handedOverTo])).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['mute', undefined],
    ['a', ['away', 'mute', 'old']],
    ['b', ['away', 'mute', 'old']],
  ]);
});

test('an agent speaks of flows at its own host alone', async () => {
  const { all } = await setUp({ a: { own: [flow(1, 'b', 'c'), flow(2, 'b', 'a')] }, b: {}, c: {} });
  expect((await all()).told.flatMap(({ flows }) => flows)).toEqual([flow(2, 'b', 'a')]);
});

test('pages go host by host, with few asked at once, and who was revoked in between is gone', async () => {
  const hosts = Object.fromEntries(
    Array.from({ length: 40 }, (_, at) => [
      `h${`${at}`.padStart(2, '0')}`,
      { own: [flow(at + 1, 'x', `h${`${at}`.padStart(2, '0')}`)] },
    ]),
  );
  const { all, walk, network, state, idOf, mostWaiting, asked } = await setUp(hosts);
  const { told, pages } = await all();
  expect([told.length, pages, mostWaiting(), asked.length]).toEqual([40, 3, 16, 40]);
  const first = await walk.page(network(), {}, START, 5, 'read', SIGNAL);
  expect(first.hosts.map(({ host }) => host)).toEqual(['h00', 'h01', 'h02', 'h03', 'h04']);
  await state.revokeAgent('prod', idOf('h05'), 'control');
  const second = await walk.page(network(), {}, first.next ?? START, 2, 'read', SIGNAL);
  expect(second.hosts.map(({ host }) => host)).toEqual(['h06', 'h07']);
});

test('a page ends where its hosts have told much', async () => {
  const much = Array.from({ length: 200 }, (_, at) => flow(at + 1, 'x', 'a', 's'.repeat(2_000)));
  const { walk, network, all } = await setUp({
    a: { own: much },
    b: { own: [flow(1_000, 'x', 'b', 's'.repeat(120_000))] },
  });
  const first = await walk.page(network(), {}, START, 100, 'read', SIGNAL);
  expect([first.hosts.map(({ host }) => host), first.next]).toEqual([['a'], [0, 'a']]);
  expect((await all()).told.map(({ host }) => host)).toEqual(['a', 'b']);
});

test('who asks while many do waits for a turn, in the order of coming, and only so many may wait', async () => {
  const { walk, network, mostWaiting } = await setUp({ a: {} });
  const order: number[] = [];
  const page = async (at: number, role: Actor['role'], signal = SIGNAL): Promise<void> => {
    await walk.page(network(), {}, START, 100, role, signal);
    order.push(at);
  };
  // Three admins, each by the page, by weft and by a program of theirs.
  await Promise.all(Array.from({ length: 9 }, (_, at) => page(at, 'admin')));
  expect([order, mostWaiting()]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8], 2]);
  const gone = new AbortController();
  const pages = Array.from({ length: 6 + 48 }, (_, at) => page(at, 'read', at === 53 ? gone.signal : SIGNAL));
  const told = Promise.allSettled(pages);
  await expect(page(99, 'read')).rejects.toMatchObject({
    name: 'FlowsError',
    code: 'busy',
    message: expect.stringContaining('48 questions for open flows wait already with the read token'),
  });
  gone.abort(new Error('gone'));
  const last = page(54, 'read');
  // Who may only read shuts out nobody who acts.
  await page(100, 'admin');
  expect(order.indexOf(100)).toBeLessThan(9 + 20);
  expect((await told).at(-1)).toMatchObject({ status: 'rejected', reason: { message: 'gone' } });
  await last;
  expect([order.at(-1), mostWaiting()]).toEqual([54, 7]);
});
