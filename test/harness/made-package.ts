/**
 * Before the first of the tests that start Weft's own programs: the package is made once, as `npm run package` makes it, and
 * what tests start is what users install. A command out of it costs half of the CPU that one of the checkout does.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Architecture, nodeFor } from '../../packaging/node.ts';
import { makeTree } from '../../packaging/tree.ts';
import keepCompiled from './compile-cache.ts';
import { checkout, PACKAGE } from './host.ts';

export default async function make(): Promise<(() => void) | undefined> {
  // Each project asks for it.
  if (process.env.WEFT_TEST_PACKAGE !== undefined) return undefined;
  const forget = keepCompiled();
  // Below the checkout, which made hosts mount, and where nobody copies it.
  const dir = mkdtempSync(join(checkout, 'node_modules/.made-'));
  chmodSync(dir, 0o755);
  process.env.WEFT_TEST_PACKAGE = relative(checkout, join(dir, PACKAGE));
  // Any user that a test makes may keep what Node.js compiled, each user apart.
  mkdirSync(join(dir, 'compiled'));
  chmodSync(join(dir, 'compiled'), 0o1777);
  await makeTree({
    root: checkout,
    to: join(dir, PACKAGE),
    node: nodeFor(checkout, process.arch as Architecture),
    seconds: 1_700_000_000,
  });
  return () => {
    rmSync(dir, { recursive: true, force: true });
    forget?.();
  };
}
