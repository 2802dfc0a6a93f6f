/** Looks at a mesh as a monitoring system and an open dashboard do: observer.ts DASHBOARD TOKEN_FILE METRICS_URL... */
import { viewDashboard } from '../../harness/dashboard-viewer.ts';

const [dashboard = '', tokenFile = '', ...metrics] = process.argv.slice(2);
const viewer = await viewDashboard(dashboard, tokenFile);
void viewer.ended.then(() => process.exit(1));

const scrape = async (url: string): Promise<void> => {
  const answer = await fetch(url);
  await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
};
await Promise.all(metrics.map(scrape));
process.stdout.write('observing\n');
setInterval(() => void Promise.all(metrics.map(scrape)), 1_000);
