import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testChangeLog, testLastingLog } from './change-log.fixture.ts';
import { slow } from './slow.fixture.ts';
import { Store } from './store.ts';

testLastingLog('SQLite in a file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-log-'));
  let open = Store.open(directory);
  return {
    log: open,
    reopen: async () => {
      open.close();
      open = Store.open(directory);
      return open;
    },
    close: () => {
      open.close();
      rmSync(directory, { recursive: true });
    },
  };
});

testChangeLog('SQLite in memory', async () => {
  const store = Store.inMemory();
  return { log: store, close: () => store.close() };
});

testChangeLog('a store that takes its time', async () => {
  const store = Store.inMemory();
  return { log: slow(store), close: () => undefined };
});
