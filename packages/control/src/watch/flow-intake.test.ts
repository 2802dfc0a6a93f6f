import { expect, test } from 'vitest';
import { FlowAnswers } from './flow-intake.ts';

test('while an answer is on its way only the newest is kept', () => {
  const sent: { readonly sequence: number; readonly done: () => void }[] = [];
  const answers = new FlowAnswers((sequence, done) => sent.push({ sequence, done }));
  answers.took(1);
  for (let sequence = 2; sequence <= 1_000; sequence += 1) answers.took(sequence);
  expect(sent.map(({ sequence }) => sequence)).toEqual([1]);
  sent[0]?.done();
  expect(sent.map(({ sequence }) => sequence)).toEqual([1, 1_000]);
  sent[1]?.done();
  answers.took(1_000);
  answers.took(0);
  answers.took(Number.NaN);
  expect(sent).toHaveLength(2);
});
