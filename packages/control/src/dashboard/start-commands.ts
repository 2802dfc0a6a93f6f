/** The commands that bring up the first service on the host where control runs, for a POSIX shell. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatHostPort, type HostPort } from '@weft/proto';
import { isWildcard } from '../rpc/token-addresses.ts';
import type { State } from '../state/types.ts';
import type { StartView } from './api.ts';

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

export function startCommands({ listening, adminTokenPath, state, binaries }: StartSources): StartView {
  const network = unusedNetwork(state);
  const control = `--control ${quoted(reachable(listening))} --admin-token-file ${quoted(adminTokenPath)}`;
  return {
    commands: [
      {
        title: 'Declare a network with one private service, hello',
        command: lines(
          ...(binaries === undefined ? [] : [`export PATH=${quoted(binaries)}:"$PATH"`]),
          `weft apply ${control} -f - <<'EOF'`,
          `network: ${network}`,
          'services:',
          `  hello: { kind: private, ports: [${PORT}] }`,
          'EOF',
        ),
      },
      {
        title: 'Make a join token, in a file that nobody else can read',
        command: `(umask 077; weft token create ${control} --network ${network} --services hello > hello.token)`,
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

/** Where npm puts the commands of what it installed, above this module; undefined when weft is not among them. */
export function installedBinaries(from: string = import.meta.dirname): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const binaries = join(folder, 'node_modules', '.bin');
    if (existsSync(join(binaries, 'weft'))) return binaries;
    if (dirname(folder) === folder) return undefined;
  }
}

/** An apply replaces what a network has: the example must not be one that is in use. */
function unusedNetwork({ networks }: State): string {
  const used = (name: string): boolean => {
    const network = networks.get(name);
    return network !== undefined && (network.services.size > 0 || network.agents.size > 0);
  };
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? 'prod' : `prod-${number}`;
    if (!used(name)) return name;
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
