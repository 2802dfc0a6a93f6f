/** The package: what is made of one commit is the same wherever it is made, and runs where there is nothing else. */
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { VERSION } from '@weft/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tarball } from '../../packaging/archive.ts';
import { debianPackage } from '../../packaging/debian.ts';
import { type Architecture, nodeFor } from '../../packaging/node.ts';
import { COMPLETIONS, makeTree } from '../../packaging/tree.ts';
import { documented } from '../docs/documented.ts';
import { checkout, titled } from '../harness/host.ts';
import { run } from '../harness/process.ts';

const SECONDS = 1_700_000_000;
const noNamespaces = (await run(['unshare', '-Urmnpf', 'true'])).code === 0 ? undefined : 'no user namespaces';
const noInstall = (await run(['dpkg-deb', '--version'])).code === 0 ? noNamespaces : 'no dpkg';
/** What runs a program of arm64 here, with its libraries; as a processor that signs no pointers, which takes longest to emulate. */
const ARM =
  process.arch === 'arm64' ? [] : ['qemu-aarch64-static', '-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu'];
const noArm =
  ARM.length === 0 ||
  (existsSync('/usr/bin/qemu-aarch64-static') && existsSync('/usr/aarch64-linux-gnu/lib/libatomic.so.1'))
    ? undefined
    : 'no qemu-user-static, or no libatomic1-arm64-cross';
const noMandoc = (await run(['which', 'mandoc'])).code === 0 ? undefined : 'no mandoc';

let dir: string;
let tree: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'weft-package-'));
  tree = join(dir, 'weft-VERSION-linux-x64');
  await makeTree({ root: checkout, to: tree, node: standIn(), seconds: SECONDS });
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

test('says of which build it is, and is not made of what was only compiled', async () => {
  const built = 'packages/agent/dist/words/build-id.js';
  const id = /'([0-9a-f]{32})'/.exec(readFileSync(join(checkout, built), 'utf8'))?.[1];
  if (id === undefined) throw new Error(`${built} has no id`);
  const program = join(tree, 'lib/agent/dist/program');
  const files = readdirSync(program, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.mjs'));
  expect(files.some((path) => readFileSync(join(program, path), 'utf8').includes(id))).toBe(true);

  // A thread that begins when another package has taken this one's place tells so, and does nothing by what it was given.
  for (const name of ['owner-thread.mjs', 'listening-thread.mjs']) {
    const begin = (build: string) =>
      begun(join(program, name), { program: build, native: false, rules: [] }, { callers: [], process: 1 });
    expect(await begin(id)).toEqual(expect.any(Object));
    await expect(begin('of yesterday'), name).rejects.toThrow('it was replaced; restart the agent');
  }

  const root = join(dir, 'compiled');
  mkdirSync(join(root, built, '..'), { recursive: true });
  writeFileSync(join(root, built), "export const BUILD = 'source';\n");
  const made = makeTree({ root, to: join(dir, 'made'), node: root, seconds: SECONDS });
  await expect(made).rejects.toThrow('run npm run build');

  // Nor of what was compiled again since: its id is that of what was there before.
  writeFileSync(join(root, built), `export const BUILD = '${id}';\n`);
  const bundled = join(root, 'packages/agent/dist/bundled/entry.mjs');
  mkdirSync(join(bundled, '..'));
  const compiled = join(root, 'packages/agent/dist/.tsbuildinfo');
  for (const path of [bundled, compiled]) writeFileSync(path, '');
  utimesSync(bundled, SECONDS, SECONDS);
  await expect(makeTree({ root, to: join(dir, 'made'), node: root, seconds: SECONDS })).rejects.toThrow(
    'entry.mjs is older than what is compiled; run npm run build',
  );
});

test('has the same bytes made in a folder of another name, and no word of either', async () => {
  const elsewhere = join(dir, 'a folder of', 'another name');
  copyBuilt(elsewhere);
  const again = join(elsewhere, 'out', 'weft-VERSION-linux-x64');
  await makeTree({ root: elsewhere, to: again, node: standIn(), seconds: SECONDS });
  expect(listing(again)).toEqual(listing(tree));
  tarball(tree, join(dir, 'one.tar.gz'));
  tarball(again, join(dir, 'other.tar.gz'));
  expect(readFileSync(join(dir, 'one.tar.gz')).equals(readFileSync(join(dir, 'other.tar.gz')))).toBe(true);
  const telling = listing(tree).filter(([, , content]) => content.includes(checkout) || content.includes(dir));
  expect(telling.map(([path]) => path)).toEqual([]);
});

test('has completions for each shell, of the commands that it has, and the schemas of what they print', () => {
  for (const [shell, place] of Object.entries(COMPLETIONS))
    expect(readFileSync(join(tree, 'share', place), 'utf8'), shell).toContain('weft complete --');
  expect(readdirSync(join(tree, 'share/schema/json'))).toContain('token-list.schema.json');
});

test.skipIf(noMandoc !== undefined)(
  titled('has manual pages of the commands and of both files, which read cleanly in 80 columns', noMandoc),
  async () => {
    const pages = readdirSync(join(tree, 'share/man'), { recursive: true })
      .map(String)
      .filter((path) => /\d$/.test(path) && path.includes('.'));
    expect(new Set(pages)).toEqual(
      new Set(['man1/weft.1', 'man1/weft-control.1', 'man5/weft.yaml.5', 'man5/mesh.yaml.5']),
    );
    const paths = pages.map((path) => join(tree, 'share/man', path));
    expect(await run(['mandoc', '-Tlint', '-Wwarning', ...paths])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const { stdout } = await run(['mandoc', '-Tascii', ...paths]);
    // A letter over itself is a bold one.
    const text = stdout.replaceAll(new RegExp(`.${String.fromCharCode(8)}`, 'g'), '');
    for (const words of [
      'weft token create [options]',
      '--leave-behind',
      'weft-control restore [options] <file>',
      'services.NAME.public.hosts',
      'dns.upstream',
      'WEFT_ADMIN_TOKEN_FILE',
      'identity.json',
    ])
      expect(text).toContain(words);
    expect(text).not.toContain('weft complete');
    // Commands to copy stay in a line.
    expect(text.split('\n').filter((line) => line.length > 80 && !/weft-control serve|printf/.test(line))).toEqual([]);
  },
);

test.skipIf(noInstall !== undefined)(
  titled('installs as README says, and the Debian package has the same bytes again', noInstall),
  async () => {
    const same = { tree, version: '0.1.0+1', architecture: 'x64', seconds: SECONDS, compression: 'none' } as const;
    const debs = ['weft_VERSION_amd64.deb', 'again.deb'].map((name) => join(dir, name));
    for (const to of debs) debianPackage({ ...same, to });
    const [deb, again] = debs.map((path) => readFileSync(path));
    expect(again && deb?.equals(again)).toBe(true);
    tarball(tree, join(dir, 'weft-VERSION-linux-x64.tar.gz'));
    const script = join(import.meta.dirname, '..', 'fixtures', 'install.sh');
    const steps = documented('README.md', 'sudo dpkg -i');
    const { code, stdout, stderr } = await run(['unshare', '-Urm', 'sh', script, steps], {
      cwd: dir,
      timeoutMs: 20_000,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const told = stdout.split('\n').filter((line) => line.startsWith('='));
    const state = ['/etc/default/weft', '/etc/default/weft-control', '/etc/weft/weft.yaml'].map(
      (path) => `= conffile ${path}`,
    );
    expect(told).toEqual([
      '= install ok installed',
      ...state,
      '= 600 /etc/default/weft',
      '= ../lib/weft/bin/weft',
      '= unit weft-control.service',
      '= unit weft-guard.service',
      '= unit weft-range.service',
      '= unit weft-run@.service',
      '= unit weft.service',
      '= page man1/weft-control.1.gz: .TH',
      '= page man1/weft.1.gz: .TH',
      '= page man5/mesh.yaml.5.gz: .TH',
      '= page man5/weft.yaml.5.gz: .TH',
      '= weft guard off --data /var/lib/weft',
      '= gone',
      '= /opt/weft-VERSION-linux-x64/bin/weft',
    ]);
  },
);

test.skipIf(noNamespaces !== undefined)(
  titled('runs from a read-only root as a user that nobody knows, with an empty environment', noNamespaces),
  async () => {
    rmSync(join(tree, 'lib/node'));
    cpSync(join(nodeFor(checkout, process.arch as Architecture), 'bin/node'), join(tree, 'lib/node'));
    const root = join(dir, 'root');
    mkdirSync(root);
    const script = join(import.meta.dirname, '..', 'fixtures', 'bare-container.sh');
    const { code, stdout, stderr } = await run(['unshare', '-Urmnpf', '--kill-child', 'sh', script, root, tree], {
      timeoutMs: 40_000,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, -1)).toEqual([
      `version ${VERSION}`,
      'page 200',
      'ready 200',
      'answer PONG',
      'stopped 0 0',
    ]);
  },
);

test.skipIf(noArm !== undefined)(
  titled('runs on arm64, with the Node.js of that package', noArm),
  async () => {
    const node = join(nodeFor(checkout, 'arm64'), 'bin/node');
    for (const program of ['agent/dist/program/weft.mjs', 'control/dist/program/weft-control.mjs']) {
      const command = [...ARM, node, join(tree, 'lib', program), '--version'];
      expect(await run(command, { timeoutMs: 60_000 })).toMatchObject({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
    }
  },
  180_000,
);

/** In the place of 120 MB that are the same anyway. */
function standIn(): string {
  const folder = join(dir, 'node');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'bin/node'), 'node\n');
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'node', version: '1.0.0', license: 'MIT' }));
  writeFileSync(join(folder, 'LICENSE'), 'Node.js is licensed for use as follows');
  return folder;
}

/** What a thread answers. */
async function begun(file: string, workerData: object, question: object): Promise<unknown> {
  const thread = new Worker(pathToFileURL(file), { workerData });
  try {
    thread.postMessage(question);
    const [answer] = await once(thread, 'message');
    return answer;
  } finally {
    await thread.terminate();
  }
}

/** What `npm run build` leaves, by itself, with the installed packages that it needs. */
function copyBuilt(to: string): void {
  for (const name of ['agent', 'control', 'proto']) {
    for (const part of ['package.json', 'bin', 'dist', 'generated', 'proto', 'node_modules']) {
      const path = join('packages', name, part);
      if (!existsSync(join(checkout, path))) continue;
      // Its links lead on in the copy, as in the checkout.
      cpSync(join(checkout, path), join(to, path), {
        recursive: true,
        verbatimSymlinks: true,
        preserveTimestamps: true,
      });
    }
  }
  for (const part of ['README.md', 'docs', 'examples', 'packaging', 'LICENSE'])
    cpSync(join(checkout, part), join(to, part), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(to, 'node_modules'));
}

function listing(folder: string): readonly (readonly [path: string, kind: string, content: string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = entry.isFile() ? readFileSync(path, 'latin1') : '';
      return [path.slice(folder.length), entry.isDirectory() ? 'folder' : 'file', content] as const;
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
