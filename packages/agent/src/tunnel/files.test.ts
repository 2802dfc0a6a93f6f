/** Tunnels of an agent that is short of files. */
import { once } from 'node:events';
import net from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { OpenFiles, outOfFiles } from '../bytes/open-files.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { type TestAgent, TestNetwork } from './agents.fixture.ts';

let network: TestNetwork;
let board: ProblemBoard;
let files: OpenFiles;
beforeEach(() => {
  network = new TestNetwork();
  board = new ProblemBoard(pino({ level: 'silent' }));
  files = new OpenFiles(1_000_000, board);
});
afterEach(() => {
  network.close();
  vi.restoreAllMocks();
});

const ping = (from: TestAgent): Promise<number> => from.tunnels.ping('bob', new Deadline(5_000));
const short = { code: 'too-many-files', subject: 'agent' };

it('dials no tunnel with the last files, and dials soon when there are some again', async () => {
  const spares = vi.spyOn(files, 'sparesTunnel').mockReturnValue(false);
  const alice = await network.agent('alice', { files });
  await network.agent('bob');
  await expect(ping(alice)).rejects.toMatchObject({ code: 'no-file' });
  expect(board.current).toMatchObject([short]);
  spares.mockRestore();
  await vi.waitFor(async () => expect(await ping(alice)).toBeGreaterThan(0), 5_000);
});

it('is short of files without dialling for each flow, and never holds it against the peer', async () => {
  const connect = vi.fn(() => Promise.reject(outOfFiles('connect')));
  const alice = await network.agent('alice', { files, connect });
  await network.agent('bob');
  let nowMs = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  for (const dials of [1, 2, 3, 4]) {
    for (let flow = 0; flow < 3; flow += 1) await expect(ping(alice)).rejects.toMatchObject({ code: 'no-file' });
    expect(connect).toHaveBeenCalledTimes(dials);
    nowMs += 250;
  }
  expect(alice.tunnels.promising('bob')).toBe(true);
});

it('tells when the system has no file for a tunnel', async () => {
  const alice = await network.agent('alice', { files, connect: () => Promise.reject(outOfFiles('connect')) });
  await network.agent('bob');
  await expect(ping(alice)).rejects.toMatchObject({ code: 'no-file' });
  expect(board.current).toMatchObject([short]);
});

it('leaves to strangers nothing of what is kept for tunnels', async () => {
  vi.spyOn(files, 'spares').mockReturnValue(false);
  const bob = await network.agent('bob', { files });
  const stranger = net.connect(bob.tunnels.port, '127.0.0.1');
  await expect(once(stranger, 'close')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(bob.log).toContainEqual(expect.objectContaining({ event: 'tunnel-rejected', reason: 'too-many-files' }));
});
