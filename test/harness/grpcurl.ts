/**
 * In place of grpcurl, as much as the documents show of it: `-cacert FILE -H 'NAME: VALUE' -d JSON HOST:PORT SERVICE/METHOD`, of
 * a call with one answer.
 */
import { readFileSync } from 'node:fs';
import { checkServerIdentity } from 'node:tls';
import { credentials, Metadata } from '@grpc/grpc-js';
import { reflectAdmin } from '../../packages/control/src/rpc/reflection.fixture.ts';

const words = process.argv.slice(2);
const option = (name: string): string => words[words.indexOf(name) + 1] ?? '';
const [address = '', path = ''] = words.slice(-2);

const metadata = new Metadata();
const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(option('-H')) ?? [];
metadata.set(name, value);
const { hostname } = new URL(`tls://${address}`);
const trusted = credentials.createSsl(readFileSync(option('-cacert')), null, null, {
  checkServerIdentity: (_name, shown) => checkServerIdentity(hostname, shown),
});
const client = await reflectAdmin(address, trusted);
const method = client[path.split('/')[1] ?? ''];
if (method === undefined) throw new Error(`no method ${path}`);
Reflect.apply(method, client, [
  JSON.parse(option('-d')),
  metadata,
  (error: Error | null, answer: unknown) => {
    client.close();
    if (error === null) process.stdout.write(`${JSON.stringify(answer)}\n`);
    else process.stderr.write(`${error.message}\n`);
    process.exitCode = error === null ? 0 : 1;
  },
]);
