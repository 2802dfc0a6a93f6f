/** Postgres's own driver, pointed at postgres.internal through the agent's DNS. */
import pg from 'pg';
import { resolve } from './attempt.ts';

/** Runs one statement on a connection of its own; answers its rows. */
export async function query(dnsPort: number, sql: string): Promise<unknown[]> {
  const client = new pg.Client({
    host: await resolve(dnsPort, 'postgres.internal'),
    port: 5432,
    user: 'postgres',
    database: 'postgres',
    connectionTimeoutMillis: 5_000,
  });
  // A reset that comes while nothing is asked is no reason to end the program.
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
