/** The commands that bring up the first service on the host where control runs, for a POSIX shell. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { byText, formatHostPort, formatPortRange, type HostPort, type Service } from '@weft/proto';
import { isWildcard } from '../admin/token-addresses.ts';
import type { NetworkState, State } from '../state/types.ts';
import type { StartNetwork, StartView } from './api.ts';

export interface StartSources {
  /** Where control listens. */
  readonly listening: HostPort;
  readonly adminTokenPath: string;
  readonly state: State;
  /** Folder of weft's command; undefined when only PATH can tell. */
  readonly binaries: string | undefined;
}

/** Not one that another program is likely to have. */
const PORT = 8765;
/** Of more services than these a token is made for one alone: its line is to be read. */
const MOST_NAMES = 20;
const MOST_PORTS = 8;

/** Of each network that nobody joined, so that who goes on in the middle goes on in the same. */
export function startCommands(sources: StartSources): StartView {
  const { networks } = sources.state;
  if (networks.size === 0) return { networks: [forExample('prod', true, sources)] };
  const unjoined = [...networks.values()].filter(({ agents }) => agents.size === 0);
  return { networks: unjoined.map((network) => forNetwork(network, sources)) };
}

function forNetwork(network: NetworkState, sources: StartSources): StartNetwork {
  const services = Array.from(network.services.values(), ({ service }) => service);
  const [first] = services.toSorted((one, other) => Number(one.kind === 'worker') - Number(other.kind === 'worker'));
  if (first === undefined) return forExample(network.name, true, sources);
  if (services.length === 1 && isExample(first)) return forExample(network.name, false, sources);
  const names = services.length > MOST_NAMES ? [first.name] : services.map(({ name }) => name).sort(byText);
  const token = `${first.name}.token`;
  return {
    name: network.name,
    service: first.name,
    commands: [
      {
        title: `Make a join token for ${names.length === 1 ? first.name : 'its services'}, in a file that nobody else can read`,
        command: lines(...findWeft(sources), createToken(sources, network.name, names, token)),
      },
      {
        title: `Beside what serves ${first.name}, start the agent, as long as it is to run; its file says where ${first.name} listens`,
        command: lines(
          `cat > ${first.name}.agent.yaml <<'EOF'`,
          'services:',
          `  ${first.name}: ${targets(first)}`,
          'EOF',
          `weft up --join-file ${token} --config ${first.name}.agent.yaml`,
        ),
      },
    ],
  };
}

/** A program that answers, and the agent beside it. `declares`: and the mesh that it is a service of. */
function forExample(network: string, declares: boolean, sources: StartSources): StartNetwork {
  const declare = {
    title: 'Declare a network with one private service, hello',
    command: lines(
      ...findWeft(sources),
      `weft apply ${controlOptions(sources)} -f - <<'EOF'`,
      `network: ${network}`,
      'services:',
      `  hello: { kind: private, ports: [${PORT}] }`,
      'EOF',
    ),
  };
  return {
    name: network,
    service: 'hello',
    commands: [
      ...(declares ? [declare] : []),
      {
        title: 'Make a join token, in a file that nobody else can read',
        command: lines(...(declares ? [] : findWeft(sources)), createToken(sources, network, ['hello'], 'hello.token')),
      },
      {
        title: 'Start a program that answers, and the agent beside it; Ctrl-C ends both',
        command: lines(
          "cat > hello.yaml <<'EOF'",
          'services:',
          `  hello: { targets: { ${PORT}: "127.0.0.1:${PORT}" } }`,
          'EOF',
          `node -e 'require("http").createServer((ask, answer) => answer.end("hello\\n")).listen(${PORT}, "127.0.0.1")' &`,
          'weft up --join-file hello.token --config hello.yaml; kill $!',
        ),
      },
    ],
  };
}

function isExample({ name, kind, ports }: Service): boolean {
  return name === 'hello' && kind === 'private' && ports.map(formatPortRange).join() === String(PORT);
}

/** To be changed where the program listens elsewhere. A port that is left out is the same port on localhost. */
function targets({ ports }: Service): string {
  const single = ports.filter(({ first, last }) => first === last).slice(0, MOST_PORTS);
  if (single.length === 0) return '{}';
  const each = single.map((port) => `${formatPortRange(port)}: "127.0.0.1:${port.first}"`);
  return `{ targets: { ${each.join(', ')} } }`;
}

function createToken(sources: StartSources, network: string, services: readonly string[], file: string): string {
  const scope = `--network ${network} --services ${services.join(',')}`;
  return `(umask 077; weft token create ${controlOptions(sources)} ${scope} > ${file})`;
}

function controlOptions({ listening, adminTokenPath }: StartSources): string {
  return `--control ${quoted(reachable(listening))} --admin-token-file ${quoted(adminTokenPath)}`;
}

/** The first command of a page may be the first of a shell. */
function findWeft({ binaries }: StartSources): string[] {
  return binaries === undefined ? [] : [`export PATH=${quoted(binaries)}:"$PATH"`];
}

/** Where commands are, above this module: npm's of what it installed, or a package's own; undefined when weft is not among them. */
export function installedBinaries(from: string = import.meta.dirname): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const places = [join(folder, 'node_modules', '.bin'), join(folder, 'bin')];
    const binaries = places.find((place) => existsSync(join(place, 'weft')));
    if (binaries !== undefined) return binaries;
    if (dirname(folder) === folder) return undefined;
  }
}

/** On this host; an address that stands for all is none to connect to. */
function reachable({ host, port }: HostPort): string {
  if (!isWildcard(host)) return formatHostPort(host, port);
  return formatHostPort(host === '::' ? '::1' : '127.0.0.1', port);
}

/** As one word of a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function lines(...all: readonly string[]): string {
  return all.join('\n');
}
