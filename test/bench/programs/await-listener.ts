/** Ends when each address takes connections: await-listener.ts PORT ADDRESS.. Fails after 15 s. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [port = '', ...addresses] = process.argv.slice(2);
const deadline = performance.now() + 15_000;

function answers(host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: Number(port) }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error) => resolve(error.message));
  });
}

for (const address of addresses) {
  for (let failure = await answers(address); failure !== undefined; failure = await answers(address)) {
    if (performance.now() > deadline) throw new Error(`${address}: ${failure}`);
    await sleep(50);
  }
}
