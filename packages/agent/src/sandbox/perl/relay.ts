/**
 * Between the agent and the sandboxes of its host: listens on a unix socket, says who comes (SO_PEERCRED, which Node has no
 * word for), and passes lines and sockets on over the channel that Node gives its children. Arguments: architecture, path.
 */
import { SYSTEM } from './system.ts';

const RELAY = String.raw`
my ($path) = @ARGV;
$0 = "weft sandboxes";
$SIG{PIPE} = 'IGNORE';
my ($MOST_CLIENTS, $MOST_LINE, $MOST_FROM_AGENT) = (256, 4_096, 1 << 20);
open(my $agent, '+<&=', $ENV{NODE_CHANNEL_FD}) or exit 1;
call('prctl', 1, 9, 0, 0, 0); # PR_SET_PDEATHSIG

# By another name first: it is there only once it answers.
my $new = "$path.new";
unlink $new;
socket(my $listener, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or exit 1;
umask 0;
bind($listener, pack_sockaddr_un($new)) && listen($listener, 64) && rename($new, $path) or exit 1;

my ($next, $heard, %clients, @handles, $waiting) = (1, '');

sub tell_agent { my ($json) = @_; my $text = "$json\n"; while ($text ne '') { my $gone = syswrite($agent, $text) // leave(); substr($text, 0, $gone) = '' } }
sub leave { unlink $path; exit 0 }
sub drop { my ($id) = @_; my $client = delete $clients{$id} or return; close $client->{socket}; @handles = grep { $_->[0] != $id } @handles; tell_agent(qq({"connection":$id,"closed":true})) }

# One at a time: Node says when it has taken it.
sub tell_handles {
  while (!$waiting && @handles) {
    my ($id, $line, $socket, $type) = @{shift @handles};
    my $text = qq({"cmd":"NODE_HANDLE","type":"$type","msg":{"connection":$id,"line":"$line"}}\n);
    my $gone = send_file($agent, $text, $socket) // leave();
    tell_agent(substr($text, $gone, -1)) if $gone < length $text;
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

sub hear {
  my ($id) = @_;
  my $client = $clients{$id} or return;
  my ($text, @files) = receive_files($client->{socket}, 4_096);
  if (!defined $text) { return if $! == 11 || $! == 4; return drop($id) }
  push @{$client->{files}}, @files;
  return drop($id) if $text eq '' || @{$client->{files}} > 64;
  $client->{heard} .= $text;
  while ($client->{heard} =~ s/^([^\n]*)\n//) {
    my $line = $1;
    return drop($id) if $line !~ m{^[A-Za-z0-9._:/,=% -]{1,4096}$};
    if ($line =~ /^(?:socket|carry) /) {
      my $file = shift @{$client->{files}} or return drop($id);
      my $type = type_of($file) or return drop($id);
      push @handles, [$id, $line, $file, $type];
      tell_handles();
      next;
    }
    tell_agent(qq({"connection":$id,"line":"$line"}));
  }
  drop($id) if length $client->{heard} > $MOST_LINE;
}

while (1) {
  my $readable = '';
  vec($readable, fileno $agent, 1) = 1;
  vec($readable, fileno $listener, 1) = 1 if keys %clients < $MOST_CLIENTS;
  # Who hands over more than Node takes waits.
  if (@handles < 256) { vec($readable, fileno $_->{socket}, 1) = 1 for values %clients }
  next if select($readable, undef, undef, undef) < 0;
  if (vec($readable, fileno $agent, 1)) {
    sysread($agent, $heard, 65_536, length $heard) or leave();
    leave() if length $heard > $MOST_FROM_AGENT;
    while ($heard =~ s/^([^\n]*)\n//) {
      my $said = $1;
      if ($said =~ /NODE_HANDLE_(?:ACK|NACK)/) { $waiting = 0; tell_handles(); next }
      next unless $said =~ /^"(\d+) (.*)"$/;
      my ($id, $line) = ($1, $2);
      my $client = $clients{$id} or next;
      if ($line eq 'close') { drop($id); next }
      my $gone = syswrite($client->{socket}, "$line\n");
      drop($id) unless ($gone // 0) == length($line) + 1;
    }
  }
  for my $id (sort { $a <=> $b } keys %clients) {
    my $client = $clients{$id} or next;
    hear($id) if vec($readable, fileno $client->{socket}, 1);
  }
  if (vec($readable, fileno $listener, 1) && accept(my $socket, $listener)) {
    my ($process, $user) = unpack('L L L', getsockopt($socket, SOL_SOCKET, 17) // "\xff" x 12); # SO_PEERCRED
    setsockopt($socket, SOL_SOCKET, 21, pack('q q', 1, 0)); # SO_SNDTIMEO
    my $id = $next++;
    $clients{$id} = { socket => $socket, heard => '', files => [] };
    tell_agent(qq({"connection":$id,"user":$user,"process":$process}));
  }
}
`;

export const RELAY_PROGRAM = `${SYSTEM}\n${RELAY}`;
