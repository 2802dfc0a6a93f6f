/** The thread of flows: writes what it is given, answers questions. An error that nobody foresaw ends it; control starts it again. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '@weft/proto';
import type { FromThread, Question, ThreadStart, ToThread } from './messages.ts';
import { COLUMNS } from './packing.ts';
import { FlowStore } from './store.ts';

/** How often old segments are looked for when nothing is written. */
const RETAIN_MS = 30_000;
/** Records restored over all networks: they are held in memory. */
const RESTORED = 100_000;

async function runThread({ directory, limits, restore }: ThreadStart, main: MessagePort): Promise<void> {
  const tell = (message: FromThread, moved: readonly ArrayBuffer[] = []): void => main.postMessage(message, [...moved]);
  const trouble = (what: Extract<FromThread, { type: 'trouble' }>['trouble']): void => {
    tell({ type: 'trouble', trouble: what });
  };
  const store = new FlowStore({ directory, limits, now: Date.now, steady: () => performance.now(), trouble });
  const asked = new Map<number, AbortController>();
  const life = new AbortController();

  let left = restore === 0 ? 0 : RESTORED;
  for (const network of left === 0 ? [] : store.networks) {
    const limit = Math.min(restore, left);
    if (limit === 0) break;
    const { packed } = await store.query(network, { filter: {}, limit }, life.signal);
    left -= packed.rows.length / COLUMNS;
    tell({ type: 'restored', packed }, [packed.rows.buffer]);
  }

  /** Its answer, or why there is none, is told under its number. */
  const answer = async (question: Extract<ToThread, Question>): Promise<void> => {
    const { id, network } = question;
    const abort = new AbortController();
    asked.set(id, abort);
    try {
      if (question.type === 'query') {
        const { packed, ...found } = await store.query(network, question.query, abort.signal);
        tell({ type: 'found', id, packed, ...found }, [packed.rows.buffer]);
      } else {
        tell({ type: 'counted', id, history: await store.history(network, question.query, abort.signal) });
      }
    } catch (error) {
      // Whoever gave up waits for nothing.
      if (!abort.signal.aborted) tell({ type: 'failed', id, message: messageOf(error) });
    } finally {
      asked.delete(id);
    }
  };
  const retaining = setInterval(() => {
    store.retain();
    tell({ type: 'kept', kept: store.kept });
  }, RETAIN_MS);

  main.on('message', (message: ToThread) => {
    switch (message.type) {
      case 'write': {
        const lost = store.write(message.packed);
        tell({ type: 'written', lost, kept: store.kept });
        return;
      }
      case 'forget':
        store.forget(message.network);
        tell({ type: 'kept', kept: store.kept });
        return;
      case 'query':
      case 'history':
        void answer(message);
        return;
      case 'abort':
        asked.get(message.id)?.abort();
        return;
      case 'close':
        life.abort();
        clearInterval(retaining);
        for (const abort of asked.values()) abort.abort();
        store.close();
        tell({ type: 'closed' });
        main.close();
    }
  });
  tell({ type: 'ready', last: store.last, kept: store.kept });
  await store.warm(life.signal);
}

if (parentPort !== null) await runThread(workerData as ThreadStart, parentPort);
