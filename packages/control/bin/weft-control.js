#!/usr/bin/env node
// Runs before anything else is loaded, so that an older Node prints a sentence and not a stack.
const [major, minor] = process.versions.node.split('.').map(Number);
// The gateway decides upgrades of HTTP by what came in these versions.
if (!(major > 24 || (major === 24 && minor >= 9) || (major === 22 && minor >= 21))) {
  process.stderr.write(
    `weft-control: needs Node 22.21 or newer of its line, or 24.9 or newer; this is ${process.versions.node}; run it with the checkout's node_modules/.bin/node\n`,
  );
  process.exit(1);
}
const { main } = await import('../dist/main.js');
await main(process.argv);
