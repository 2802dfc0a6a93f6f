import { expect, test } from 'vitest';
import { FollowedTargets } from './followed.ts';

test('who follows the targets hears where another’s program is not called any more: a conversation with it ends', () => {
  const targets = new FollowedTargets(new Map());
  const heard: string[] = [];
  targets.onChange(() => heard.push(targets.other('statsd', { host: '127.0.0.1', port: 8125 }, 'udp') ?? ''));
  targets.tellOthers(new Map([['statsd udp 127.0.0.1:8125', 'bin']]));
  targets.tellOthers(new Map());
  expect(heard).toEqual(['bin', '']);
});
