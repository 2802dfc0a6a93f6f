/**
 * Node.js 26 wants libatomic, which minimal systems lack. Where the Node that is brought cannot start for that, the newest of the line
 * before takes its place in this checkout, and says so. JavaScript, for it is run by the Node that the machine has.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// `import.meta` says neither file nor folder before 20.11.
const here = fileURLToPath(import.meta.url);
const runtimes = dirname(here);
const modules = join(runtimes, '../../node_modules');
const OTHER = 'node-24-newest';

/** Why this one does not start, in the loader's words; undefined where it does. */
function fault(node) {
  const { status, stderr, error } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

/** To be called when packages are installed. Ends the process where no Node of theirs starts. `install` brings the other line, where it is left out. */
export function chooseNode(install = () => undefined) {
  const node = join(modules, '.bin/node');
  if (!existsSync(node)) return;
  const why = fault(node);
  if (why === undefined) return;
  // Whatever is started from here on finds the machine's own again.
  rmSync(node);
  install();
  const instead = join(runtimes, 'node_modules', OTHER);
  const other = existsSync(instead) ? fault(join(instead, 'bin/node')) : 'there is no other for this machine';
  if (other !== undefined) {
    process.stderr.write(
      `Node.js that Weft brings does not start here: ${why}; nor an older one: ${other}\nInstall libatomic (Debian's libatomic1), and start again.\n`,
    );
    process.exit(1);
  }
  const brought = realpathSync(instead);
  for (const [link, target] of [
    [node, join(brought, 'bin/node')],
    [join(modules, `node-linux-${process.arch}`), brought],
  ]) {
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
  process.stderr.write(
    `Node.js 26 does not start here (${why}), so Weft runs on Node.js 24 in this checkout, without node:ffi.\nInstall libatomic (Debian's libatomic1), remove node_modules and start again to have it.\n`,
  );
}

// The checkout may be reached by a link.
if (realpathSync(process.argv[1]) === here) chooseNode();
