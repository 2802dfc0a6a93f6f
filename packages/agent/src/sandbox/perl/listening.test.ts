/** By the kernel's own word, in a network namespace of its own. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { LISTENING } from './listening.ts';

/** The clock stands: nothing is looked at again because it is old. */
const PROGRAM = String.raw`
use strict; use warnings; use Socket;
sub enter {}
sub now_ms { return 0 }
${LISTENING}
sub listen_at {
  socket(my $socket, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
  bind($socket, sockaddr_in($_[0], INADDR_LOOPBACK)) or die "bind: $!";
  listen($socket, 1) or die "listen: $!";
  return $socket;
}
sub counted {
  my $text = '';
  for my $name (qw(sockstat sockstat6)) { open(my $file, '<', "/proc/self/net/$name") or next; local $/; $text .= <$file> }
  return join ' ', $text =~ /^(sockets: used \d+|(?:TCP|UDP)6?: inuse \d+)/mg;
}
# Within what a loaded machine may take.
sub until_so {
  my ($is, $turns) = (shift, 0);
  while (!$is->()) { die "it never came" if ++$turns > 800; select(undef, undef, undef, 0.05) }
}
begin_listening();
my $held = listen_at(5001);
until_so(sub { !may_have_changed() });
print "first ", join(',', listeners()), "\n";
my $before = counted();
close $held;
$held = listen_at(5002);
until_so(sub { counted() eq $before });
until_so(sub { may_have_changed() });
print "then ", join(',', listeners()), "\n";
until_so(sub { !may_have_changed() });
`;

test('who listens in the place of another is told of, though there are as many as before', () => {
  const own = process.getuid?.() === 0 ? '-n' : '-rn';
  const said = execFileSync('unshare', [own, 'perl', '-e', PROGRAM], { encoding: 'latin1' });
  const at = (port: number) => `tcp:0100007f:${port}`;
  expect(said).toBe(`first ${at(5001)}\nthen ${at(5002)}\n`);
});
