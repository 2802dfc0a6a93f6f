/** The drivers of Postgres and Redis, pointed at postgres.internal and redis.internal through the agent's DNS. */
import { Redis } from 'ioredis';
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

/** Counts one up; answers the count. */
export async function count(dnsPort: number, key: string): Promise<number> {
  const redis = new Redis({
    host: await resolve(dnsPort, 'redis.internal'),
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: () => null,
  });
  redis.on('error', () => {});
  try {
    return await redis.incr(key);
  } finally {
    redis.disconnect();
  }
}
