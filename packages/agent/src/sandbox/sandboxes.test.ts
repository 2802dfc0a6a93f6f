/** Who may begin sandboxes here and how many, by the real relay; what runs in them is test/netns/sandbox.test.ts's. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_RANGE } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import type { OpenFiles } from '../bytes/open-files.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { PERL } from '../owner/diagnosis.ts';
import type { Netmap, NetmapService } from '../words/netmap.ts';
import { InsidePrograms, type Serving } from './inside.ts';
import { fromWord } from './lines.ts';
import { SandboxRights } from './rights.ts';
import { MOST_SANDBOXES_OF_USER, Sandboxes, type SandboxesOptions } from './sandboxes.ts';

const runs = process.platform === 'linux' && existsSync(PERL);
const HELLO = '1 mailer egress= ports=';
/** As though the agent ran as somebody of his own. */
const AGENT_UID = 65_533;

describe.skipIf(!runs)('sandboxes of a host', () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  async function open(serves = true) {
    const folder = mkdtempSync(join(tmpdir(), 'weft-sandboxes-'));
    chmodSync(folder, 0o755);
    const path = join(folder, 'run.sock');
    const end = new AbortController();
    ends.push(() => {
      end.abort();
      rmSync(folder, { recursive: true, force: true });
    });
    const services = new Map<string, NetmapService>();
    const mailer = { service: { name: 'mailer', kind: 'worker', ports: [] }, address: '127.80.0.7', instances: [] };
    services.set('mailer', mailer as never);
    services.set('web', { ...mailer, service: { name: 'web', kind: 'web', ports: [] } } as never);
    const netmap = {
      self: { network: 'prod', host: 'front', services: ['mailer', 'web'] },
      services,
    } as unknown as Netmap;
    // Who only asks, and who answers nothing, gets no further than to these.
    const cuts: string[] = [];
    /** As though somebody had called each at once. */
    class Called extends InsidePrograms {
      override enter(serving: Serving): void {
        const cut = () => {
          cuts.push(serving.service);
          serving.calls.delete(cut);
        };
        serving.calls.add(cut);
        super.enter(serving);
      }
    }
    const options: Partial<SandboxesOptions> = {
      path,
      hide: [],
      range: CONTROL_RANGE,
      netmap: () => netmap,
      rights: new SandboxRights({
        services: new Map([['mailer', { match: { user: 'nobody' } } as never]]),
        uid: AGENT_UID,
      }),
      inside: new Called(),
      serves,
      entered: () => {},
      left: () => {},
      side: () => ({}) as never,
      files: { usable: 1_024 } as OpenFiles,
      problems: new ProblemBoard(pino({ enabled: false })),
      log: pino({ enabled: false }),
      signal: end.signal,
    };
    const sandboxes = new Sandboxes(options as SandboxesOptions);
    await expect.poll(() => existsSync(path)).toBe(true);
    return { path, sandboxes, cuts, services };
  }

  /** The first line of the answer to another user. */
  function say(path: string, line: string, uid = AGENT_UID): Promise<string> {
    const asks = `use Socket; my ($path, $line, $uid) = @ARGV; $) = "$uid $uid"; $> = $uid;
      socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($path)) or exit;
      syswrite($s, "$line\\n"); print scalar readline $s;`;
    return new Promise((resolve, reject) => {
      execFile(PERL, ['-e', asks, path, line, String(uid)], (error, stdout) =>
        error === null ? resolve(stdout.trim()) : reject(error),
      );
    });
  }

  test.skipIf(process.getuid?.() !== 0)('one user runs no more than a share, and takes none of others', async () => {
    const { path, sandboxes } = await open();
    await expect.poll(() => say(path, `ask ${HELLO}`)).toMatch(/^granted /);
    expect(await say(path, `ask ${HELLO}`, 0)).toMatch(/^refused root/);
    const many = `use Socket; my ($path, $count) = @ARGV; $) = '65534 65534'; $> = 65534; $| = 1;
      for (1 .. $count) { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($path)) or die; syswrite($s, "hello ${HELLO}\\n"); sysread($s, my $said, 4096); push @all, $s; print "$said" if $said =~ /^refused/ }
      print "here\\n"; sleep 60;`;
    const child: ChildProcess = spawn(PERL, ['-e', many, path, String(MOST_SANDBOXES_OF_USER + 1)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    ends.push(() => child.kill('SIGKILL'));
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await expect.poll(() => said).toContain('here');
    expect(said.match(/^refused/gm)).toHaveLength(1);
    expect(fromWord(said.split(/[ \n]/)[1] ?? '')).toContain(`runs ${MOST_SANDBOXES_OF_USER} sandboxes`);
    expect(sandboxes.current).toHaveLength(MOST_SANDBOXES_OF_USER);
    expect(await say(path, `hello ${HELLO}`)).toMatch(/^socket 1 /);
  });

  test.skipIf(process.getuid?.() !== 0)(
    'what is open to a program ends with its right, also after its connection did',
    async () => {
      const { path, sandboxes, cuts, services } = await open();
      await expect.poll(() => say(path, `ask ${HELLO}`)).toMatch(/^granted /);
      // It says hello, hears its first line, and is gone.
      expect(await say(path, `hello ${HELLO}`, 65_534)).toMatch(/^socket 1 /);
      await expect.poll(() => sandboxes.current).toEqual([]);
      sandboxes.follow();
      expect(cuts).toEqual([]);
      services.delete('mailer');
      sandboxes.follow();
      expect(cuts).toEqual(['mailer']);
    },
  );

  test.skipIf(process.getuid?.() !== 0)('of an agent of several threads run callers alone', async () => {
    const { path } = await open(false);
    await expect.poll(() => say(path, `ask ${HELLO}`)).toMatch(/^granted /);
    const refused = await say(path, 'ask 1 web egress= ports=');
    expect(fromWord(refused.replace(/^refused /, ''))).toBe(
      'web is called by others, and an agent of several threads (--workers) hands no calls to a sandbox; start the agent with --workers 1, or run web outside',
    );
  });
});
