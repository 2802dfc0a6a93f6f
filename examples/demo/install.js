/**
 * Installs what the demo needs and builds it. JavaScript, for it runs before anything is there, on the Node that the machine has;
 * what comes after it is started by `env`, which looks for the Node that is there by then, as the shell would not.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chooseNode } from '../../test/runtimes/choose.mjs';

/** What it says matters when it fails only: of packages that want a newer Node than the machine's, which come with their own. */
function run(command) {
  const env = { ...process.env, npm_config_loglevel: 'error' };
  const { status, stdout, stderr } = spawnSync(command, { shell: true, env, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status === 0) return;
  console.error(`${command}: exit ${status}\n${stdout}${stderr}`);
  process.exit(1);
}

if (!existsSync('node_modules/.modules.yaml')) {
  console.log(
    'Downloading from npm, once, into node_modules and its cache: Node.js, TypeScript, a Postgres (PGlite) and the\n' +
      'packages that Weft is built and tested with. About 200 MB, 700 MB unpacked; nothing is compiled, no script of theirs runs.',
  );
}
// Other lines of Node.js, which only tests want, are as large again.
const install = 'npx --yes pnpm@12.21.0 install --frozen-lockfile --loglevel error';
run(`${install} --filter '!@weft/test-runtimes'`);
chooseNode(() => run(install));
console.log('Building');
run('npm run --silent build');
