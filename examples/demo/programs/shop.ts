/**
 * The web shop: answers HTTP on loopback, keeps its data in Postgres and counts visits in Redis, by their names, and can be told to try
 * other names, so that the demo may show what it cannot reach. Usage: shop.ts DNS_PORT. Prints "ready PORT".
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { attemptTcp } from '../attempt.ts';
import { count, query } from '../database.ts';

const dnsPort = Number(process.argv[2]);

async function answer(path: string): Promise<unknown> {
  const url = new URL(path, 'http://shop');
  const name = url.searchParams.get('name') ?? '';
  switch (url.pathname) {
    case '/offers':
      return query(dnsPort, 'select name, cents from offers order by name');
    case '/visit':
      return count(dnsPort, 'visits');
    case '/order':
      return query(dnsPort, `insert into jobs (letter) values ('order confirmed') returning id`);
    case '/jobs':
      return query(dnsPort, 'select id, done_by from jobs order by id');
    case '/try':
      return attemptTcp(dnsPort, name, Number(url.searchParams.get('port')));
    default:
      return undefined;
  }
}

const server = http.createServer((request, response) => {
  answer(request.url ?? '/').then(
    (value) =>
      response
        .writeHead(value === undefined ? 404 : 200, { 'content-type': 'application/json' })
        .end(JSON.stringify(value ?? null)),
    (error: unknown) => response.writeHead(502).end(JSON.stringify(String(error))),
  );
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${(server.address() as AddressInfo).port}`));
