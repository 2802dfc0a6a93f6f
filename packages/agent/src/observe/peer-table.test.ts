import { expect, test } from 'vitest';
import { PeerTable } from './peer-table.ts';

const peer = (host: string, bytesSent: number, tunnels = 1) => ({
  ...{ host, tunnels, bytesSent, bytesReceived: 2 * bytesSent },
  roundTripUs: 0,
  pathSize: 0,
});

test('peers keep their names, and what has none never goes back', () => {
  const table = new PeerTable(2);
  expect(table.look([peer('a', 1), peer('b', 1)])).toMatchObject({ named: [{}, {}], others: undefined });
  const before = table.look([peer('a', 1), peer('b', 1), peer('c', 5_000), peer('d', 10)]);
  expect(before.others).toEqual({ tunnels: 2, bytesSent: 5_010, bytesReceived: 10_020 });
  // The busiest now, and gone is one of those that have names.
  const after = table.look([peer('c', 5_500, 9), peer('d', 10), peer('b', 2)]);
  expect(after.named.map(({ host }) => host)).toEqual(['b']);
  expect(after.others).toEqual({ tunnels: 10, bytesSent: 5_510, bytesReceived: 11_020 });
  expect(table.look([peer('b', 2)]).others).toEqual({ tunnels: 0, bytesSent: 5_510, bytesReceived: 11_020 });
  // Back, and counted from 0.
  expect(table.look([peer('c', 7)]).others).toMatchObject({ tunnels: 1, bytesSent: 5_517 });
  expect(table.look([peer('c', 3)]).others).toMatchObject({ bytesSent: 5_520 });
});
