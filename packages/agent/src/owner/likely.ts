/** As which file a process that held sockets before holds the next. */

/**
 * Files that it was, and the next ones: the kernel gives the lowest number that is free. Who calls one after the other has the last again, and
 * who has many calls at once the one that was given longest ago, for that call ends first: from both ends in turn.
 */
export function* likely(files: ReadonlySet<string>): Generator<string> {
  const before = [...files];
  const next = `${Number(before.at(-1) ?? 0) + 1}`;
  for (let at = 0; at < before.length; at++) {
    if (at === 1 && !files.has(next)) yield next;
    const file = before[at % 2 === 0 ? before.length - 1 - at / 2 : (at - 1) / 2];
    if (file !== undefined) yield file;
  }
  if (before.length < 2 && !files.has(next)) yield next;
  const beyond = `${Math.max(0, ...before.map(Number)) + 1}`;
  if (beyond !== next) yield beyond;
}
