/** A real Postgres (PGlite) behind its socket server, on loopback only. Prints "ready PORT". */
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { freePort } from '../ports.ts';

const db = await PGlite.create();
await db.exec(`
  create table jobs (id serial primary key, letter text not null, done_by text);
  create table offers (name text primary key, cents integer not null);
  insert into offers values ('kettle', 2900), ('lamp', 4500);
`);
const port = await freePort();
await new PGLiteSocketServer({ db, host: '127.0.0.1', port, maxConnections: 50 }).start();
console.log(`ready ${port}`);
