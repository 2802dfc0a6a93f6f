/**
 * Between the agent and the sandboxes of its host: listens on a unix socket, says who comes (SO_PEERCRED, which Node has no
 * word for), and passes lines and sockets on over the channel that Node gives its children. Arguments: architecture, path, and how many
 * files it was given behind that channel, to let go once it listens.
 */
import { MOST_ANSWER, MOST_LINE } from '../lines.ts';
import { SYSTEM } from './system.ts';

/** Who has come and not ended; those beside root and the agent's own user have a share each, or one of them would have all. */
export const PLACES = { all: 256, ofUser: 128 } as const;

const RELAY = String.raw`
my ($path, $given) = @ARGV;
$0 = "weft sandboxes";
$SIG{PIPE} = 'IGNORE';
my ($MOST_CLIENTS, $MOST_OF_USER) = (${PLACES.all}, ${PLACES.ofUser});
# What the agent says to one is an answer at most, and whom it is for.
my ($MOST_LINE, $MOST_FROM_AGENT) = (${MOST_LINE}, ${MOST_ANSWER} + 64);
# Of all together, in bytes; and how long who has something to read may leave it.
my ($MOST_UNREAD, $READ_MS) = (64 << 20, 10_000);
# Where there is no descriptor for who comes, in milliseconds.
my $SHORTAGE_MS = 500;
open(my $agent, '+<&=', $ENV{NODE_CHANNEL_FD}) or exit 1;

# By another name first: it is there only once it answers.
my $new = "$path.new";
unlink $new;
socket(my $listener, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or exit 1;
umask 0;
bind($listener, pack_sockaddr_un($new)) && listen($listener, 64) && rename($new, $path) or exit 1;
sub place { join ':', (lstat $path)[0, 1] }
my $own = place();

my ($next, $heard, $accept_ms, %clients, @handles, $waiting) = (1, '', 0);

sub tell_agent { my ($json) = @_; my $text = "$json\n"; while ($text ne '') { my $gone = syswrite($agent, $text) // leave(); substr($text, 0, $gone) = '' } }
sub now_ms { my ($seconds) = split ' ', slurp('/proc/uptime') // 0; return $seconds * 1000 }
# With the agent, however that ended; another one may listen there already. A process that ends waits at no file.
sub leave { unlink $path if place() eq $own; call('exit_group', 0) }

# With SO_LINGER the last close(2) of a TCP socket waits for what is unsent, O_NONBLOCK or not, also of one that lies unread in what is closed; and
# whoever has a copy can ask for it at any time. Signals end the wait, each millisecond, which is less than anybody notices.
$SIG{ALRM} = sub {};
my ($TICKS, $NO_TICKS) = (pack('q4', 0, 1_000, 0, 1_000), pack('q4', 0, 0, 0, 0)); # struct itimerval
sub briefly { my ($do) = @_; call('setitimer', 0, $TICKS, 0); my @got = $do->(); call('setitimer', 0, $NO_TICKS, 0); return @got }

sub drop {
  my ($id) = @_;
  my $client = delete $clients{$id} or return;
  my @left = ($client->{socket}, @{$client->{files}}, map { $_->[2] } grep { $_->[0] == $id } @handles);
  @handles = grep { $_->[0] != $id } @handles;
  briefly(sub { close $_ for @left });
  tell_agent(qq({"connection":$id,"closed":true}));
}

# One at a time: Node says when it has taken it.
sub tell_handles {
  while (!$waiting && @handles) {
    my ($id, $line, $socket, $type) = @{shift @handles};
    my $text = qq({"cmd":"NODE_HANDLE","type":"$type","msg":{"connection":$id,"line":"$line"}}\n);
    my $gone = send_file($agent, $text, $socket) // leave();
    tell_agent(substr($text, $gone, -1)) if $gone < length $text;
    briefly(sub { close $socket });
    $waiting = 1;
  }
}

# What Node can take: a TCP or UDP socket.
sub type_of {
  my ($socket) = @_;
  my ($type, $family) = map { my $value = getsockopt($socket, SOL_SOCKET, $_); defined $value ? unpack('i', $value) : 0 } 3, 39; # SO_TYPE, SO_DOMAIN
  return undef unless $family == 2 || $family == 10;
  return $type == 1 ? 'net.Native' : $type == 2 ? 'dgram.Native' : undef;
}

# Of a stranger its first line at most, and no file: one of a file system of its own would hold up whoever closes it.
sub receive_line {
  my ($socket) = @_;
  defined recv($socket, my $text, 4_096, 0x40 | 2) or return (); # MSG_DONTWAIT, MSG_PEEK
  return $text eq '' ? '' : receive_files($socket, 1 + index($text, "\n") || length $text, 1);
}

sub hear {
  my ($id) = @_;
  my $client = $clients{$id} or return;
  my ($text, @files) = briefly(sub { $client->{greeted} ? receive_files($client->{socket}, 4_096) : receive_line($client->{socket}) });
  setsockopt($_, SOL_SOCKET, 13, pack('i i', 0, 0)) for @files; # SO_LINGER, for whoever closes it at last; what is no socket has none
  if (!defined $text) { return if $! == 11 || $! == 4; return drop($id) }
  push @{$client->{files}}, @files;
  return drop($id) if $text eq '' || @{$client->{files}} > 64;
  $client->{heard} .= $text;
  pass_on($id);
}

# Who is not known says one line, and no more is heard of it until the agent has taken it.
sub pass_on {
  my ($id) = @_;
  my $client = $clients{$id} or return;
  while (!$client->{asked} && $client->{heard} =~ s/^([^\n]*)\n//) {
    my $line = $1;
    return drop($id) if $line !~ m{^[A-Za-z0-9._:/,=% -]{1,$MOST_LINE}$};
    $client->{asked} = 1 if !$client->{greeted};
    if ($line =~ /^(?:socket|carry) /) {
      return drop($id) if !$client->{greeted};
      my $file = $client->{files}[0] or return drop($id);
      my $type = type_of($file) or return drop($id);
      # Who made it may have left it one that waits, which would hold up the agent: F_SETFL, O_NONBLOCK.
      fcntl($file, 4, 04000) or return drop($id);
      shift @{$client->{files}};
      push @handles, [$id, $line, $file, $type];
      tell_handles();
      next;
    }
    tell_agent(qq({"connection":$id,"line":"$line"}));
  }
  drop($id) if length $client->{heard} > 2 * $MOST_LINE || !$client->{asked} && length $client->{heard} > $MOST_LINE;
}

# What is to be said to one goes out as it reads, and nobody waits for it: who reads nothing for a while, or leaves too much unread, is let go.
sub write_to {
  my ($id) = @_;
  my $client = $clients{$id} or return;
  while ($client->{out} ne '') {
    my $gone = syswrite($client->{socket}, $client->{out});
    if (!defined $gone) { return drop($id) if $! != 11 && $! != 4; last }
    substr($client->{out}, 0, $gone) = '';
    $client->{late_ms} = 0;
  }
  if ($client->{out} eq '') { drop($id) if $client->{closing}; return }
  my $unread = 0;
  $unread += length $_->{out} for values %clients;
  return drop($id) if $unread > $MOST_UNREAD;
  $client->{late_ms} ||= now_ms() + $READ_MS;
}
sub waiting { return grep { $clients{$_}{out} ne '' } keys %clients }

# Room for one of that user: where there is none, the one that came first of those who are not taken yet makes it. False where all are taken.
sub make_room {
  my ($user) = @_;
  my $apart = sub { $_[0] == 0 || $_[0] == $> };
  my @others = grep { !$apart->($clients{$_}{user}) } sort { $a <=> $b } keys %clients;
  my @same = grep { $clients{$_}{user} == $user } @others;
  my @from = !$apart->($user) && @same >= $MOST_OF_USER ? @same : keys %clients >= $MOST_CLIENTS ? @others : return 1;
  my ($silent) = grep { !$clients{$_}{greeted} } @from;
  return 0 unless defined $silent;
  drop($silent);
  return 1;
}

# What the agent listened by until now, and who came there: the last of a file is let go by a process that ends, which waits at none.
{
  $SIG{CHLD} = 'IGNORE';
  pipe(my $over, my $held) or leave();
  my $last = fork() // leave();
  if (!$last) { close $held; sysread $over, my $end, 1; call('exit_group', 0) }
  call('close', $_) for 4 .. 3 + $given;
}
while (1) {
  my ($readable, $writable) = ('', '');
  vec($readable, fileno $agent, 1) = 1;
  vec($writable, fileno $clients{$_}{socket}, 1) = 1 for waiting();
  my $wait = $accept_ms ? $accept_ms - now_ms() : 0;
  my $look = $writable eq '' ? undef : 1;
  vec($readable, fileno $listener, 1) = 1 if $wait <= 0;
  # Who hands over more than Node takes waits.
  if (@handles < 256) { vec($readable, fileno $_->{socket}, 1) = 1 for grep { !$_->{asked} && !$_->{closing} } values %clients }
  next if select($readable, $writable, undef, $wait > 0 ? $wait / 1000 : $look) < 0;
  for my $id (waiting()) {
    if (vec($writable, fileno $clients{$id}{socket}, 1)) { write_to($id) }
    elsif (now_ms() > $clients{$id}{late_ms}) { drop($id) }
  }
  if (vec($readable, fileno $agent, 1)) {
    sysread($agent, $heard, 65_536, length $heard) or leave();
    while ($heard =~ s/^([^\n]*)\n//) {
      my $said = $1;
      if ($said =~ /NODE_HANDLE_(?:ACK|NACK)/) { $waiting = 0; tell_handles(); next }
      next unless $said =~ /^"(\d+) (.*)"$/;
      my ($id, $line) = ($1, $2);
      my $client = $clients{$id} or next;
      if ($line eq 'close') { $client->{closing} = 1; write_to($id); next }
      if ($line eq 'greeted') { ($client->{greeted}, $client->{asked}) = (1, 0); pass_on($id); next }
      $client->{out} .= "$line\n";
      write_to($id);
    }
    leave() if length $heard > $MOST_FROM_AGENT;
  }
  for my $id (sort { $a <=> $b } keys %clients) {
    my $client = $clients{$id} or next;
    hear($id) if vec($readable, fileno $client->{socket}, 1);
  }
  next unless vec($readable, fileno $listener, 1);
  if (accept(my $socket, $listener)) {
    my ($process, $user) = unpack('L L L', getsockopt($socket, SOL_SOCKET, 17) // "\xff" x 12); # SO_PEERCRED
    if (!fcntl($socket, 4, 04000) || !make_room($user)) { briefly(sub { close $socket }); next } # F_SETFL, O_NONBLOCK
    my $id = $next++;
    $clients{$id} = { socket => $socket, user => $user, heard => '', files => [], out => '', late_ms => 0 };
    tell_agent(qq({"connection":$id,"user":$user,"process":$process}));
  }
  elsif ($! == 23 || $! == 24) { $accept_ms = now_ms() + $SHORTAGE_MS } # ENFILE, EMFILE
}
`;

export const RELAY_PROGRAM = `${SYSTEM}\n${RELAY}`;
