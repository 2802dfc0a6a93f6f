/** What a program meets when it calls a name: the demo's rows are made of these, never of what should have happened. */
import { Resolver } from 'node:dns/promises';
import net from 'node:net';

/** `connected`, or what went wrong: a DNS code such as ENOTFOUND, or a socket's such as ECONNRESET. */
export type Attempt = string;

/** Asks one agent's DNS server, as the host's resolv.conf would on a host of its own. */
export async function resolve(dnsPort: number, name: string): Promise<string> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([`127.0.0.1:${dnsPort}`]);
  const [address] = await resolver.resolve4(name);
  if (address === undefined) throw Object.assign(new Error(`${name} has no address`), { code: 'ENODATA' });
  return address;
}

/** Connects and holds for a moment: a denial comes as a reset right after the connect. */
export async function attemptTcp(dnsPort: number, name: string, port: number): Promise<Attempt> {
  let host = name;
  if (net.isIP(name) === 0) {
    try {
      host = await resolve(dnsPort, name);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  }
  return new Promise((done) => {
    const socket = net.connect({ host, port });
    const finish = (attempt: Attempt): void => {
      socket.destroy();
      done(attempt);
    };
    socket.on('connect', () => setTimeout(() => finish('connected'), 1_000));
    socket.on('data', () => finish('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? String(error)));
    socket.on('close', () => finish('closed'));
    socket.setTimeout(8_000, () => finish('no answer'));
  });
}
