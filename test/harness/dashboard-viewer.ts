/** Looks at the dashboard's live updates as its page does, without a browser. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';

export interface DashboardViewer extends Disposable {
  /** Taken so far. */
  bytes(): number;
  /** Resolves when control ended the stream. */
  readonly ended: Promise<void>;
}

/** Signs in with the text of the token file, and reads from then on. Rejects when control refuses. */
export async function viewDashboard(origin: string, tokenFile: string): Promise<DashboardViewer> {
  const signedIn = await fetch(`${origin}/api/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-weft-dashboard': '1' },
    body: JSON.stringify({ token: readFileSync(tokenFile, 'utf8').trim() }),
  });
  if (!signedIn.ok) throw new Error(`signing in to the dashboard: ${signedIn.status} ${await signedIn.text()}`);
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const ended = Promise.withResolvers<void>();
  let bytes = 0;
  const live = request(`${origin}/api/live`, { headers: { cookie } }, (response) => {
    response.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    response.on('end', ended.resolve);
  });
  live.on('error', () => ended.resolve());
  live.end();
  return { bytes: () => bytes, ended: ended.promise, [Symbol.dispose]: () => void live.destroy() };
}
