/** Steps the database at the path forward, and is killed in the middle of the second step. */
import { DatabaseSync } from 'node:sqlite';
import { SCHEMA } from './schema.ts';
import { upgrade } from './upgrade.ts';

const path = process.argv[2] ?? '';
const database = new DatabaseSync(path);
database.function('die', () => {
  process.kill(process.pid, 'SIGKILL');
  return 0;
});
upgrade(database, path, {
  ...SCHEMA,
  steps: [
    { adds: false, sql: 'ALTER TABLE agents RENAME COLUMN version TO software' },
    { adds: false, sql: 'CREATE TABLE more (x INTEGER); INSERT INTO more VALUES (1), (die())' },
  ],
});
