/** One line for any shell of this machine that calls the service where web's host has it, by a client that is installed. */
import { spawnSync } from 'node:child_process';
import { resolve } from './attempt.ts';
import type { DemoMesh } from './mesh.ts';

const installed = (client: string): boolean => spawnSync(client, ['--version']).error === undefined;

export async function shellLine({ hosts }: DemoMesh): Promise<string> {
  const address = (service: string): Promise<string> => resolve(hosts.front.dnsPort, `${service}.internal`);
  if (installed('redis-cli')) return `redis-cli -h ${await address('redis')} incr visits`;
  if (installed('psql')) return `psql -h ${await address('postgres')} -U postgres -c 'select * from offers'`;
  return `node -e "require('net').connect(6379, '${await address('redis')}').end('INCR visits\\r\\n').pipe(process.stdout)"`;
}
