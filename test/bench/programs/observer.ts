/** Looks at a mesh as a monitoring system and an open dashboard do: observer.ts DASHBOARD TOKEN_FILE METRICS_URL... */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';

const [dashboard = '', tokenFile = '', ...metrics] = process.argv.slice(2);
const signedIn = await fetch(`${dashboard}/api/session`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-weft-dashboard': '1' },
  body: JSON.stringify({ token: readFileSync(tokenFile, 'utf8').trim() }),
});
if (!signedIn.ok) throw new Error(`signing in to the dashboard: ${signedIn.status} ${await signedIn.text()}`);
const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
request(`${dashboard}/api/live`, { headers: { cookie } }, (response) => {
  response.resume();
  response.on('end', () => process.exit(1));
}).end();

const scrape = async (url: string): Promise<void> => {
  const answer = await fetch(url);
  await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
};
await Promise.all(metrics.map(scrape));
process.stdout.write('observing\n');
setInterval(() => void Promise.all(metrics.map(scrape)), 1_000);
