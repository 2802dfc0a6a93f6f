/**
 * What `weft run` becomes: it keeps the terminal and the signals, makes the namespaces, and hands the agent sockets of
 * them. Arguments: architecture, KEY=VALUE…, --, the command.
 */
import { EGRESS } from './egress.ts';
import { FILTER } from './filter.ts';
import { LISTENING } from './listening.ts';
import { NETWORK } from './network.ts';
import { PROGRAM_SIDE } from './program-side.ts';
import { REFUSALS } from './refusals.ts';
import { SYSTEM } from './system.ts';
import { VIEW } from './view.ts';

const SUPERVISE = String.raw`
my %sandbox = (hide => []);
while (@ARGV) {
  my $argument = shift @ARGV;
  last if $argument eq '--';
  my ($key, $value) = split /=/, $argument, 2;
  if ($key eq 'hide') { push @{$sandbox{hide}}, $value }
  elsif ($key eq 'environment') { my ($name, $text) = split /=/, $value, 2; $ENV{$name} = $text }
  else { $sandbox{$key} = $value }
}
$sandbox{command} = [@ARGV];
$sandbox{directory} = readlink('/proc/self/cwd') // '/';
# While links still lead where they do, and this is still the host's network.
$sandbox{hide} = [map { cover_of($_) } grep { defined } map { real_path($_) } @{$sandbox{hide}}, $sandbox{socket}];
$sandbox{sockets} = [bound_sockets()];
($sandbox{terminal}) = grep { defined && m{^/dev/} } map { -t $_ ? readlink('/proc/self/fd/' . fileno $_) : undef } *STDIN, *STDOUT, *STDERR;
$0 = "weft run $sandbox{service}";
$SIG{PIPE} = 'IGNORE';
# Node leaves pipes that do not block, and raises how many files may be open; a program expects neither.
for my $stream (*STDIN, *STDOUT, *STDERR) { my $flags = fcntl($stream, 3, 0); fcntl($stream, 4, $flags & ~04000) if $flags }
if (($sandbox{files} // '') =~ /^\d+$/) {
  my $limits = pack('Q Q', 0, 0);
  if (defined call('prlimit64', 0, 7, 0, $limits)) { my (undef, $most) = unpack('Q Q', $limits); my $wanted = pack('Q Q', $sandbox{files}, $most); call('prlimit64', 0, 7, $wanted, 0) }
}

# Who asks is waiting for the first answer; later ones are found again without a hurry.
my ($FIRST_MS, $AGAIN_MS, $WATCH_MS, $DIAL_MS) = (30_000, 500, 250, 5_000);
# What is said to the agent is at most as long as a line may be; what it says is longer. Places where the program listens are told in as many lines as they take.
my ($MOST_DIALS, $MOST_TOLD, $MOST_PLACES, $MOST_LINE) = (256, 4_000, 2_048, 65_536);

my @passed = @SIGNALS{qw(HUP INT QUIT USR1 USR2 TERM CONT TSTP WINCH)};
my $before = block(signal_set(@passed, $SIGNALS{CHLD}, 22)); # and SIGTTOU
my $signals = signal_file(signal_set(@passed, $SIGNALS{CHLD})) or refuse(open => 'signals', $! + 0);
# Whether the program's group has the terminal; whether it gets that whenever this has it. Beside others of a pipe it gets it when it asks.
my ($front, $comes_first) = (0, -t STDIN && -t STDOUT);

my ($user, $group) = ($>, (split ' ', $))[0]);
defined call('unshare', 0x10000000) or refuse(user => 'user', $! + 0);
# setgroups(2) would let go of a group that is denied something.
spew('/proc/self/setgroups', 'deny') or refuse(map => '/proc/self/setgroups', $! + 0);
spew('/proc/self/uid_map', "$user $user 1") or refuse(map => '/proc/self/uid_map', $! + 0);
spew('/proc/self/gid_map', "$group $group 1") or refuse(map => '/proc/self/gid_map', $! + 0);
defined call('unshare', 0x40000000) or refuse(unshare => 'net', $! + 0);
my ($program_side, $agent_side) = make_networks($sandbox{range}, $sandbox{prefix}, $sandbox{egress});
$sandbox{networks} = { program => $program_side, agent => $agent_side };
# What the program calls out of the mesh comes to these.
my ($streams_out, $datagrams_out) = $sandbox{egress} ? begin_egress($sandbox{egress}, $sandbox{nft}) : ();
defined call('unshare', 0x20000000) or refuse(unshare => 'pid', $! + 0);
socketpair(my $line, my $far, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or refuse(open => 'socketpair', $! + 0);
my $first = fork() // refuse(fork => 'process', $! + 0);
if ($first == 0) { close $line; be_first(\%sandbox, $far, $before); exit 1 }
close $far;
call('prctl', 4, 0, 0, 0, 0); # PR_SET_DUMPABLE
begin_listening($program_side, $agent_side);

my ($agent, $heard, $told, $started, $accepted, $watching, $seen) = (undef, '', '', 0, 0, 0, '');
my ($said_why, $again_ms, $look_ms, $begun_ms) = ('', 0, 0, now_ms());
my %dials;

sub now_ms { my ($seconds) = split ' ', slurp('/proc/uptime'); return $seconds * 1000 }

sub leave_agent {
  close $agent if $agent;
  ($agent, $heard, $watching, $seen, %dials) = (undef, '', 0, '');
  $again_ms = now_ms() + $AGAIN_MS;
}

sub join_agent {
  socket(my $socket, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or return;
  connect($socket, pack_sockaddr_un($sandbox{socket})) or do { $again_ms = now_ms() + $AGAIN_MS; return };
  setsockopt($socket, SOL_SOCKET, 21, pack('q q', 5, 0)); # SO_SNDTIMEO
  $agent = $socket;
  syswrite($line, "cover\n");
  say_agent("hello $sandbox{hello}");
}

sub say_agent { my ($text) = @_; return unless $agent; my $gone = syswrite($agent, "$text\n"); leave_agent() unless ($gone // 0) == length($text) + 1 }

sub hand_over {
  my ($socket, $text) = @_;
  my $gone = send_file($agent, $text, $socket);
  leave_agent() unless ($gone // 0) == length $text;
}

sub obey {
  my ($what, @words) = split ' ', $_[0];
  if ($what eq 'socket') {
    my ($id, $where, $kind, @place) = @words;
    return unless ($where // '') =~ /^(?:agent|program)$/ && @place >= 2;
    if ($kind eq 'tcp' && keys %dials >= $MOST_DIALS) { say_agent("failed $id 11"); return }
    my $socket = $kind eq 'tcp-carried' ? $streams_out : make_socket($sandbox{networks}, $where, $kind, @place);
    my $errno = $! + 0;
    if (!$socket) { say_agent("failed $id $errno"); return }
    if ($kind eq 'tcp') { $dials{$id} = { socket => $socket, until => now_ms() + $DIAL_MS }; return }
    hand_over($socket, "socket $id\n");
  }
  elsif ($what eq 'ready') { $accepted = 1; $said_why = ''; start() }
  elsif ($what eq 'watch') { ($watching, $look_ms) = (1, 0) }
  elsif ($what eq 'refused') {
    my $why = text($words[0] // '%');
    if (!$accepted) { print STDERR "weft: $why\n"; exit 1 }
    # The program goes on, as it does while there is no agent.
    print STDERR "weft: the agent does not take $sandbox{service} back: $why\n" if $why ne $said_why;
    $said_why = $why;
    leave_agent();
    $again_ms = now_ms() + 5_000;
  }
}

sub start { return if $started; $started = 1; $front = $comes_first && in_front(); syswrite($line, $front ? "start 1\n" : "start 0\n") }

# What the program listens on, each place once, in pieces that fit into a line. What others may call goes first, should it be more than is told.
sub told_listeners {
  my %rank;
  for my $each (listeners()) {
    $each =~ s/:0+:/:0:/;
    my ($address, $port) = $each =~ /:([^:]+):(\d+)$/ or next;
    # Loopback, by either family, is called at declared ports alone.
    $rank{$each} = [is_declared($port) ? 0 : $address =~ /^(?:.*ffff0000)?[0-9a-f]{6}7f$|^0{24}01000000$/ ? 2 : 1, $port];
  }
  my @ranked = sort { $rank{$a}[0] <=> $rank{$b}[0] || $rank{$a}[1] <=> $rank{$b}[1] || $a cmp $b } keys %rank;
  splice @ranked, $MOST_PLACES if @ranked > $MOST_PLACES;
  my @pieces = ('');
  for my $each (@ranked) {
    push @pieces, '' if length($pieces[-1]) + length($each) >= $MOST_TOLD;
    $pieces[-1] .= ($pieces[-1] eq '' ? '' : ',') . $each;
  }
  return @pieces;
}

my @declared = map { /^(\d+)(?:-(\d+))?$/ ? [$1, $2 // $1] : () } split /,/, $sandbox{ports} // '';
sub is_declared { my ($port) = @_; for (@declared) { return 1 if $port >= $_->[0] && $port <= $_->[1] } return 0 }

sub look {
  my ($first, @more) = told_listeners();
  my $now = join ',', $first, @more;
  return if $now eq $seen;
  $seen = $now;
  # An agent that hears the last line alone has what goes first.
  say_agent("more $_") for @more;
  say_agent('listening ' . ($first eq '' ? '%' : $first));
}

sub settle_dials {
  my ($writable) = @_;
  for my $id (keys %dials) {
    my ($socket, $until) = @{$dials{$id}}{qw(socket until)};
    my $ready = vec($writable, fileno $socket, 1);
    next unless $ready || now_ms() > $until;
    delete $dials{$id};
    my $errno = $ready ? unpack('i', getsockopt($socket, SOL_SOCKET, SO_ERROR)) : 110;
    $errno ? say_agent("failed $id $errno") : hand_over($socket, "socket $id\n");
  }
}

# The program stopped, and so does this, for the shell to see; unless it asked for the terminal (SIGTTIN, SIGTTOU) that this has.
sub stopped {
  my ($by) = @_;
  if (($by == 21 || $by == 22) && in_front()) { $front = 1; syswrite($line, "front\ngroup $SIGNALS{CONT}\n"); return }
  $front = 0;
  kill 'STOP', $$;
}

# As the program ended, so does this.
sub end_as {
  my ($status) = @_;
  take_terminal(getpgrp()) if $front;
  my $signal = $status & 0x7f;
  exit($status >> 8 & 0xff) if !$signal;
  $SIG{PIPE} = 'DEFAULT';
  kill $signal, $$;
  block(pack('Q', 0));
  exit 128 + $signal;
}

my $from_first = '';
my $made = 0;
while (1) {
  my $now = now_ms();
  join_agent() if !$agent && $made && $now >= $again_ms;
  if (!$accepted && $now - $begun_ms > $FIRST_MS) {
    print STDERR "weft: the agent at $sandbox{socket} does not answer within 30 s; see weft status\n";
    exit 1;
  }
  if ($agent && $watching && $now >= $look_ms) { look() if may_have_changed() || $watching == 1; ($watching, $look_ms) = (2, $now + $WATCH_MS) }
  my ($readable, $writable) = ('', '');
  vec($readable, fileno $_, 1) = 1 for grep { defined } $signals, $line, $agent, $agent ? $datagrams_out : undef;
  vec($writable, fileno $_->{socket}, 1) = 1 for values %dials;
  my $wait = $watching ? $WATCH_MS : !$agent && $made ? $AGAIN_MS : !$accepted ? 1_000 : undef;
  next if select($readable, $writable, undef, defined $wait ? $wait / 1000 : undef) < 0;
  settle_dials($writable) if %dials;
  # Without an agent they wait, as far as the kernel keeps them. Where it takes no more, the first is lost, as on any full path.
  if ($agent && $datagrams_out && vec($readable, fileno $datagrams_out, 1)) {
    carry_datagrams($datagrams_out, sub { my ($pair, $host, $port) = @_; send_file($agent, "carry $host $port\n", $pair, 0x40) });
  }
  if (vec($readable, fileno $signals, 1)) {
    while (my ($number, undef, $code) = next_signal($signals)) {
      next if $number == $SIGNALS{CHLD};
      if ($number == $SIGNALS{CONT} && $started && $comes_first && in_front()) { $front = 1; syswrite($line, "front\n") }
      # What a terminal or a shell does to a job (SI_KERNEL) is for all of the program's group.
      if ($started) { syswrite($line, ($code == 0x80 || $number == $SIGNALS{CONT} || $number == $SIGNALS{TSTP} ? 'group' : 'signal') . " $number\n") }
      elsif ($number =~ /^(?:1|2|3|15)$/) { end_as($number) }
    }
  }
  if ($agent && vec($readable, fileno $agent, 1)) {
    my $size = sysread($agent, $heard, 4096, length $heard);
    if (!$size || length $heard > $MOST_LINE) { leave_agent() }
    else { while ($agent && $heard =~ s/^([^\n]*)\n//) { obey($1) } }
  }
  if (vec($readable, fileno $line, 1)) {
    my $size = sysread($line, $from_first, 4096, length $from_first);
    while ($from_first =~ s/^(\w+) ?(\d*)\n//) {
      if ($1 eq 'made') { $made = 1 }
      elsif ($1 eq 'stopped') { stopped($2) }
      elsif ($1 eq 'ended') { end_as($2) }
    }
    next if $size;
    # Without a word: it has told why on stderr, or somebody ended it.
    waitpid($first, 0);
    end_as($?);
  }
}
`;

export const SUPERVISOR = [SYSTEM, REFUSALS, NETWORK, LISTENING, EGRESS, VIEW, FILTER, PROGRAM_SIDE, SUPERVISE].join(
  '\n',
);
