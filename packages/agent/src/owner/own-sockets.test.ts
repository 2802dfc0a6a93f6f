import dgram from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { OwnSockets, ownSockets } from './own-sockets.ts';

const socket = (inode: string) => ({ inode, uid: 0 });

it('tells which sockets are its own, also of those that were opened since', async () => {
  const own = new OwnSockets();
  const before = ownSockets();
  const opened = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(opened, 'listening');
  const [inode = ''] = [...ownSockets()].filter((each) => !before.has(each));
  expect(own.without([socket(inode), socket('1')])).toEqual([socket('1')]);
  opened.close();
  await once(opened, 'close');
  expect(own.without([socket(inode)])).toEqual([socket(inode)]);
});

it('lists its files within a twentieth of the time, however many callers there are, and asks by their numbers meanwhile', () => {
  let ms = 0;
  let lists = 0;
  const files = new Map([['10', '3']]);
  const list = () => {
    lists += 1;
    ms += 50;
    return new Map([...files].reverse());
  };
  const inodeAt = (file: string) => [...files].find(([, of]) => of === file)?.[0];
  const own = new OwnSockets(list, inodeAt, () => ms);
  for (let caller = 0; caller < 512; caller++) own.without([socket('10'), socket(`1000${caller}`)]);
  // One for the time before, and one that comes of that.
  expect(lists).toBeLessThanOrEqual(2);
  expect(own.without([socket('10'), socket('1')])).toEqual([socket('1')]);
  files.set('11', '4');
  expect(own.without([socket('11')])).toEqual([socket('11')]);
  files.delete('10');
  expect(own.without([socket('10')])).toEqual([socket('10')]);
  ms += 3_000;
  expect(own.without([socket('11')])).toEqual([]);
  let before = lists;
  for (; ms < 100_000; ms += 10) own.without([socket(`2000${ms}`)]);
  expect(lists - before).toBeLessThanOrEqual(100);
  expect(lists - before).toBeGreaterThan(50);
  // For the same again none is listed, so one that is opened beside it is its own at once.
  ms += 3_000;
  expect(own.without([socket('1'), socket('11')])).toEqual([socket('1')]);
  before = lists;
  for (; ms < 200_000; ms += 10) own.without([socket('1'), socket('11')]);
  expect(lists).toBe(before);
  files.set('12', '5');
  expect(own.without([socket('1'), socket('11'), socket('12')])).toEqual([socket('1')]);
});
