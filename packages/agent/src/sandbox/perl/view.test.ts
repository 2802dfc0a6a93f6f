/** What a program sees of the host's files, made by the very Perl in a mount namespace; test/netns/sandbox.test.ts and its siblings have the whole. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PERL } from '../../owner/diagnosis.ts';
import { NETWORK } from './network.ts';
import { REFUSALS } from './refusals.ts';
import { SYSTEM } from './system.ts';
import { VIEW } from './view.ts';

const run = promisify(execFile);
const runs = process.platform === 'linux' && existsSync(PERL) && process.getuid?.() === 0;

/** Its own /run has an agent's directory of this user with nothing but `run.sock` in it, as a volume of a container's. */
const BESIDE_AN_AGENT = `${SYSTEM}${REFUSALS}${NETWORK}${VIEW}
defined call('unshare', 0x00020000) or die "unshare: $!";
mount_tree('none', '/', 0, 0x40000 | $MS_REC) or die "mount: $!";
cover('/run', 'mode=0755');
mkdir '/run/weft';
socket(my $door, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socket: $!";
bind($door, pack_sockaddr_un('/run/weft/run.sock')) or die "bind: $!";
my $hidden = cover_of('/run/weft/run.sock');
cover_run('/run');
cover_told({ hide => [$hidden], directory => '/', sockets => ['/run/weft/run.sock'] });
for my $path ('/etc/hosts', '/etc/nsswitch.conf', '/etc/passwd') { put_file($path, "of $path\\n") or die "put $path: $!"; print slurp($path) }
print join(' ', $hidden, -e '/run/weft/run.sock' ? 'seen' : 'hidden'), "\\n";
`;

test.skipIf(!runs)("the program's own files find room beside an agent of the same user in /run", async () => {
  const { stdout, stderr } = await run(PERL, ['-e', BESIDE_AN_AGENT, process.arch]);
  expect({ stdout, stderr }).toEqual({
    stdout: 'of /etc/hosts\nof /etc/nsswitch.conf\nof /etc/passwd\n/run/weft hidden\n',
    stderr: '',
  });
});
