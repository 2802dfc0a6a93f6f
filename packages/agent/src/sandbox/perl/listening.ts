/**
 * Of the Perl programs: what a sandbox's program listens on, by sock_diag(7). It costs nothing while nothing changes: the kernel's counts of
 * sockets are two small files, and it tells of each socket that ends, so that none can come in the place of another unseen.
 */
export const LISTENING = String.raw`
# Whatever tells of no change is not believed longer than that, in milliseconds.
my $BELIEVED_MS = 10_000;
# Told of at once of sockets that ended; the rest are as well told of by the next look.
my $MOST_ENDED = 1_024;
my ($TCP, $UDP) = (6, 17);
# Of TCP those that listen (0A), of UDP those that are not connected (07).
my %STATES = ($TCP => 1 << 10, $UDP => 1 << 7);
# Opened in the program's namespace, of which they tell from then on: counts of sockets, who ends, and who is asked.
my ($counts, $ended, $asked, @tables);

sub begin_listening {
  my ($namespace, $back) = @_;
  enter($namespace);
  $counts = [grep { defined } map { table_of($_) } qw(sockstat sockstat6)];
  $ended = diagnosis(0xf); # SKNLGRP_INET_TCP_DESTROY and the three after it
  $asked = diagnosis(0);
  @tables = grep { defined $_->[0] } map { [table_of($_->[0]), @$_] }
    ['tcp', $TCP, AF_INET], ['tcp6', $TCP, AF_INET6], ['udp', $UDP, AF_INET], ['udp6', $UDP, AF_INET6];
  enter($back);
}

sub table_of { my ($name) = @_; open(my $file, '<', "/proc/self/net/$name") or return undef; return $file }

# NETLINK_SOCK_DIAG; undefined where this kernel has none.
sub diagnosis {
  my ($groups) = @_;
  socket(my $socket, 16, 3, 4) or return undef;
  return bind($socket, pack('S S L L', 16, 0, 0, $groups)) ? $socket : undef;
}

my ($counted, $believed_ms) = ('', 0);
# Whether sockets may have come, gone or changed since the last time; where that cannot be told, they may.
sub may_have_changed {
  return 1 if !$ended || @$counts < 1;
  my $now = '';
  for my $file (@$counts) { sysseek($file, 0, 0); sysread($file, my $text, 4_096) or return 1; $now .= $text }
  # What is of all namespaces together says nothing of this one.
  $now = join ' ', $now =~ /^(sockets: used \d+|(?:TCP|UDP)6?: inuse \d+)/mg;
  my $gone = 0;
  # Of very many the kernel drops some, and says so: that is one too.
  for (1 .. $MOST_ENDED) { last if !defined recv($ended, my $ignored, 64, 0x40) && $! != 105; $gone = 1 } # MSG_DONTWAIT, ENOBUFS
  return 0 if !$gone && $now eq $counted && now_ms() < $believed_ms;
  ($counted, $believed_ms) = ($now, now_ms() + $BELIEVED_MS);
  return 1;
}
# As proto:address:port, the address as the kernel's own tables have it.
sub listeners { return map { my ($file, $name, $protocol, $family) = @$_; my $told = told_of($protocol, $family); $told ? @$told : read_of($file, $name) } @tables }

# Asks for those alone, where a table of TCP would be of all connections of the machine. A reference to none is none; nothing where it cannot be asked.
sub told_of {
  my ($protocol, $family) = @_;
  return undef unless $asked;
  # struct nlmsghdr: SOCK_DIAG_BY_FAMILY, REQUEST and DUMP; struct inet_diag_req_v2
  my $body = pack('C C C C L x48', $family, $protocol, 0, 0, $STATES{$protocol});
  syswrite($asked, pack('L S S L L', 16 + length $body, 20, 0x301, 1, 0) . $body) or return undef;
  my @found;
  while (1) {
    my $size = sysread($asked, my $answer, 65_536) or return undef;
    while (length $answer >= 16) {
      my ($length, $kind) = unpack('L S', $answer);
      return \@found if $kind == 3; # NLMSG_DONE
      return undef if $kind == 2 || $length < 16;
      # struct inet_diag_msg: family, state, timer, retransmits, then struct inet_diag_sockid
      my ($of, undef, undef, undef, $port, undef, $address) = unpack('x16 C C C C n n a16', $answer);
      my $written = join '', map { sprintf '%08x', $_ } unpack($of == AF_INET ? 'L' : 'L4', $address);
      push @found, ($protocol == $TCP ? 'tcp' : 'udp') . ":$written:$port";
      $answer = substr($answer, ($length + 3) & ~3);
    }
  }
}

sub read_of {
  my ($file, $name) = @_;
  my ($text, $piece) = ('');
  sysseek($file, 0, 0);
  $text .= $piece while sysread($file, $piece, 65_536);
  my (undef, @rows) = split /\n/, $text;
  my $wanted = $name =~ /^tcp/ ? '0A' : '07';
  return map { my (undef, $local, undef, $state) = split ' ', $_; my ($address, $port) = split /:/, $local; $state eq $wanted ? join(':', substr($name, 0, 3), lc $address, hex $port) : () } @rows;
}
`;
