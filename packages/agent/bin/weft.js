#!/usr/bin/env node
// Runs before anything else is loaded, so that an older Node prints a sentence and not a stack.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `weft: needs Node 22.18 or newer, this is ${process.versions.node}; run it with the checkout's node_modules/.bin/node\n`,
  );
  process.exit(1);
}
const { main } = await import('../dist/main.js');
await main(process.argv);
