/** Prints a name's address, as one DNS server answers it: resolve.ts SERVER NAME */
import { Resolver } from 'node:dns/promises';

const [server = '', name = ''] = process.argv.slice(2);
const resolver = new Resolver({ timeout: 1_000, tries: 2 });
resolver.setServers([server]);
const [address = ''] = await resolver.resolve4(name);
process.stdout.write(`${address}\n`);
