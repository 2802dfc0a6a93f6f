/** What a caller says before its flow is open: kept in order, until it has gone or its user has it. */
import { expect, it } from 'vitest';
import type { Conduit, ConduitEvents } from '../words/conduit.ts';
import { MAXIMUM_EARLY } from '../words/opening.ts';
import { turn } from './openings.fixture.ts';
import { streamPipe } from './pipes.fixture.ts';
import { HeardClient } from './streams.ts';

const nothing = (): void => undefined;

function calling(): { readonly caller: Conduit; readonly heard: HeardClient } {
  const [caller, client] = streamPipe();
  caller.attach({ data: nothing, end: nothing, drain: nothing, closed: nothing });
  return { caller, heard: new HeardClient(client) };
}

async function turns(): Promise<void> {
  for (let count = 0; count < 5; count++) await turn();
}

/** A flow that is opened: what it was told. */
function opened(heard: Conduit, data: (piece: Buffer) => void = nothing): string[] {
  const told: string[] = [];
  const events: ConduitEvents = {
    data: (piece) => {
      told.push(piece.toString());
      data(piece);
    },
    end: () => told.push('END'),
    drain: nothing,
    closed: (how) => told.push(how.toUpperCase()),
  };
  heard.attach(events);
  return told;
}

it('tells each follower all from the first byte on, and its user what has not gone', async () => {
  const { caller, heard } = calling();
  const first: string[] = [];
  heard.follow((piece) => first.push(piece.toString()));
  caller.write(Buffer.from('ab'), true);
  await turns();
  heard.leave();
  caller.write(Buffer.from('cd'), true);
  await turns();
  const second: string[] = [];
  heard.follow((piece) => second.push(piece.toString()));
  await turns();
  heard.leave();
  expect([first, second]).toEqual([['ab'], ['ab', 'cd']]);
  caller.write(Buffer.from('ef'), true);
  caller.end();
  const told = opened(heard.from(3));
  await turns();
  expect(told).toEqual(['d', 'ef', 'END']);
});

it('reads no further for a follower that left while it was told what is kept', async () => {
  const { caller, heard } = calling();
  heard.follow(nothing);
  caller.write(Buffer.from('ab'), true);
  await turns();
  heard.leave();
  heard.follow(() => heard.leave());
  caller.write(Buffer.from('cd'), true);
  await turns();
  const kept: string[] = [];
  heard.follow((piece) => kept.push(piece.toString()));
  expect(kept).toEqual(['ab']);
  await turns();
  expect(kept).toEqual(['ab', 'cd']);
});

it('tells what is kept before the reset behind it, also where its user stops in between', async () => {
  const { caller, heard } = calling();
  heard.follow(nothing);
  caller.write(Buffer.from('a'.repeat(MAXIMUM_EARLY)), true);
  await turns();
  heard.leave();
  caller.reset();
  await turns();
  const rest = heard.from(1_000);
  const told = opened(rest, () => rest.pause());
  await turns();
  expect(told).toEqual(['a'.repeat(MAXIMUM_EARLY - 1_000), 'RESET']);
});

it.each(['resume', 'reset', 'resetWhenWritten'] as const)('ends once, after a stop: %s', async (how) => {
  const { caller, heard } = calling();
  heard.follow(nothing);
  caller.write(Buffer.from('ab'), true);
  await turns();
  caller.write(Buffer.from('cd'), true);
  await turns();
  heard.leave();
  caller.reset();
  await turns();
  const told = opened(heard.from(0), (piece) => {
    if (piece.toString() === 'ab') heard.pause();
  });
  await turns();
  expect(told).toEqual(['ab']);
  heard[how]();
  await turns();
  expect(told).toEqual(how === 'resume' ? ['ab', 'cd', 'RESET'] : ['ab', 'RESET']);
});
