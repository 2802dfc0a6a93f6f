/** A store whose commits go another way, for tests. */
import type { ChangeLog, History } from './change-log.ts';

export function withAppend(store: ChangeLog & History, append: ChangeLog['append']): ChangeLog & History {
  return {
    append,
    read: () => store.read(),
    follow: (told) => store.follow(told),
    revisions: (...asked) => store.revisions(...asked),
    meshAt: (network, revision) => store.meshAt(network, revision),
    oldestRevision: (network) => store.oldestRevision(network),
    revisionOf: (network, mesh) => store.revisionOf(network, mesh),
    audit: (query) => store.audit(query),
    record: (row) => store.record(row),
  };
}
