/** Whether this host's programs have the names of the network: what its resolver says, beside what the agent says. */
import { execFile } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { formatHostPort, messageOf, parseHostPort } from '@weft/proto';
import { type Finding, findingsOf } from './finding.ts';
import { type Known, whySilent } from './known.ts';
import { readResolverSetup, recipeFor } from './resolver-setup.ts';

const { ok, unknown, broken } = findingsOf('names');

const AGENT_MS = 2_000;
const HOST_MS = 10_000;

export async function lookAtNames(known: Known): Promise<readonly Finding[]> {
  const { agent } = known;
  if (agent === undefined) return [unknown('', `not looked at: the agent answers them, and ${whySilent(known)}`)];
  const { name, address } = agent.names.find((each) => each.address !== null) ?? {};
  const listens = parseHostPort(agent.dns);
  if (name === undefined || listens === undefined)
    return [unknown('', 'not looked at: no service of the network has a name that this host could ask for')];
  const asked = { ...listens, host: dialable(listens.host) };
  try {
    const resolver = new Resolver({ timeout: AGENT_MS, tries: 2 });
    resolver.setServers([formatHostPort(asked.host, asked.port)]);
    await resolver.resolve4(name);
  } catch (error) {
    const at = formatHostPort(asked.host, asked.port);
    return [
      broken(
        name,
        `the agent does not answer at ${at}: ${messageOf(error)}`,
        'see its log, and that no firewall of this host is in the way',
      ),
    ];
  }
  const [said, bare] = await Promise.all([askHost(name), askHost(name.replace(/\.internal$/, ''))]);
  const short = name.replace(/\.internal$/, '');
  if (said.addresses.length === 0 || !said.addresses.includes(address ?? ''))
    return [
      broken(
        name,
        `this host's resolver ${words(said)}; the agent says ${address}`,
        recipeFor(readResolverSetup(), asked, name),
      ),
    ];
  if (!said.configured)
    return [
      broken(
        name,
        'programs that ask for addresses as the host has them (AI_ADDRCONFIG), as Node and many others do, find none: 127.0.0.1 is its only IPv4 address',
        'give it one that leads nowhere: sudo ip address add 192.0.0.8/32 dev lo',
      ),
    ];
  const alone = bare.addresses.includes(address ?? '')
    ? `and so is ${short}`
    : `and ${short} alone is no name: \`search internal\` makes it one`;
  return [ok(name, `is ${address} by this host's resolver, ${alone}`)];
}

/** Where it listens on every address. */
function dialable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

interface HostAnswer {
  readonly addresses: readonly string[];
  /** Whether it is the same to programs that want addresses as the host itself has them. */
  readonly configured: boolean;
  /** Why there is none; empty where there is. */
  readonly why: string;
}

/** In a process of its own: the system's resolver cannot be stopped, and may take longer than anybody waits. */
const ASK = `
const { lookup, ADDRCONFIG } = require('node:dns');
const ask = (hints) => new Promise((resolve) =>
  lookup(process.argv[1], { all: true, family: 4, hints }, (error, found = []) =>
    resolve({ code: error?.code ?? '', addresses: found.map(({ address }) => address) })));
Promise.all([ask(0), ask(ADDRCONFIG)]).then((said) => process.stdout.write(JSON.stringify(said)));`;

async function askHost(name: string): Promise<HostAnswer> {
  const nothing = { addresses: [], configured: false };
  return await new Promise((resolve) => {
    execFile(process.execPath, ['-e', ASK, name], { timeout: HOST_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
      if (error?.killed === true) resolve({ ...nothing, why: `says nothing within ${HOST_MS / 1_000} s` });
      else if (error !== null) resolve({ ...nothing, why: `cannot be asked (${error.message})` });
      else resolve(read(stdout));
    });
  });
}

function read(stdout: string): HostAnswer {
  const [plain, configured]: { code: string; addresses: string[] }[] = JSON.parse(stdout);
  const why = REASONS[plain?.code ?? ''] ?? `fails (${plain?.code})`;
  return { addresses: plain?.addresses ?? [], configured: configured?.code === '', why };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'does not know it',
  EAI_AGAIN: 'hears nothing of those whom it asks',
};

function words({ addresses, why }: HostAnswer): string {
  return addresses.length > 0 ? `says ${addresses.join(', ')}` : why;
}
