/** The worker: takes jobs from Postgres by name and marks them done. Usage: mailer.ts DNS_PORT. It listens too, as a trap. */
import net, { type AddressInfo } from 'node:net';
import { query } from '../database.ts';

const dnsPort = Number(process.argv[2]);
// A port that this worker happens to have open: nobody may reach it through the mesh.
const trap = net
  .createServer((socket) => socket.end('the worker was reached\n'))
  .listen(0, '127.0.0.1', () => {
    console.log(`ready ${(trap.address() as AddressInfo).port}`);
  });

const take = `update jobs set done_by = 'mailer' where id =
  (select id from jobs where done_by is null order by id limit 1 for update skip locked) returning id`;
for (;;) {
  try {
    await query(dnsPort, take);
  } catch (error) {
    console.error(String(error));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
}
