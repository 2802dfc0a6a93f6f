/** Of the Perl programs: what carries a program's calls out of the mesh to the agent, as ip(7) and nft(8) have it. */
export const EGRESS = String.raw`
use Socket qw(inet_ntoa unpack_sockaddr_in);
# SOL_IP: a socket that may be at any address, and one that is told where a datagram went.
my ($IP_TRANSPARENT, $IP_RECVORIGDSTADDR) = (19, 20);
# Where the rules bring packets to.
my $CARRIED_TO = pack_sockaddr_in(1, inet_aton('127.0.0.1'));
# New pairs of UDP at once and a second: each costs a socket and the agent's attention.
my ($PAIRS_AT_ONCE, $PAIRS_PER_SECOND, $MOST_DATAGRAMS) = (256, 500, 64);

# By the nft program at this path, in the agent's namespace, before the program begins. Answers with a listening TCP socket and a UDP socket.
sub begin_egress {
  my ($rules, $nft) = @_;
  # Any place out there is one of ours in here, so that a socket can be at it.
  made('route to all', route(0, 254, 254, 2, attribute(4, pack('L', link_index('lo')))));
  my $child = open(my $said, '-|') // refuse(fork => 'nft', $! + 0);
  if ($child == 0) {
    open(STDERR, '>&', \*STDOUT);
    # Of the rights over this namespace what is run keeps one: CAP_NET_ADMIN, by PR_CAP_AMBIENT_RAISE.
    my ($header, $sets) = (pack('L l', 0x20080522, 0), pack('L6', (1 << 12) x 3, 0, 0, 0));
    call('capset', $header, $sets);
    call('prctl', 47, 2, 12, 0, 0);
    exec { $nft } $nft, $rules or exit 127;
  }
  my $words = do { local $/; <$said> } // '';
  close $said;
  if ($?) {
    my ($first) = split /\n/, $words;
    print STDERR "weft: cannot make the sandbox: $nft does not take the rules of --egress (", $first // "it ended with $?", "); this kernel needs nf_tables and nft_tproxy: as root, modprobe nft_tproxy nft_reject_ipv4\n";
    exit 1;
  }
  my $streams = transparent(SOCK_STREAM, $CARRIED_TO) // refuse(open => 'transparent sockets', $! + 0);
  my $datagrams = transparent(SOCK_DGRAM, $CARRIED_TO) // refuse(open => 'transparent sockets', $! + 0);
  listen($streams, 1024) && setsockopt($datagrams, 0, $IP_RECVORIGDSTADDR, 1) or refuse(open => 'transparent sockets', $! + 0);
  return ($streams, $datagrams);
}

# One that is bound to a place that is no address of this host; undefined with $!.
sub transparent {
  my ($type, $at) = @_;
  socket(my $socket, AF_INET, $type, 0) or return undef;
  fcntl($socket, 4, 04000) or return undef; # F_SETFL, O_NONBLOCK
  if ($type == SOCK_DGRAM) { ask_room($socket) } else { keep_urgent($socket) }
  return setsockopt($socket, 0, $IP_TRANSPARENT, 1) && setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) && bind($socket, $at) ? $socket : undef;
}

# The next datagram of a pair that has no socket: where from, where to, and its bytes; nothing where none waits.
sub receive_first {
  my ($socket) = @_;
  my ($from, $bytes, $control) = ("\0" x 16, "\0" x 65_536, "\0" x 64);
  my $piece = pack('Q Q', pointer($bytes), length $bytes);
  my $message = pack('Q L x4 Q Q Q Q l x4', pointer($from), length $from, pointer($piece), 1, pointer($control), length $control, 0);
  my $size = call('recvmsg', fileno $socket, $message, 0x40); # MSG_DONTWAIT
  return () unless defined $size;
  # struct cmsghdr, then struct sockaddr_in
  my (undef, $level, $type) = unpack('Q l l', $control);
  return ($from, '', '') unless $level == 0 && $type == $IP_RECVORIGDSTADDR;
  return ($from, substr($control, 16, 16), substr($bytes, 0, $size));
}

my ($pair_tokens, $pair_ms) = ($PAIRS_AT_ONCE, 0);
sub pair_token {
  my $now = now_ms();
  $pair_tokens += ($now - $pair_ms) * $PAIRS_PER_SECOND / 1000;
  $pair_ms = $now;
  $pair_tokens = $PAIRS_AT_ONCE if $pair_tokens > $PAIRS_AT_ONCE;
  return 0 if $pair_tokens < 1;
  return $pair_tokens--;
}

# As from the program, to the socket that is there for it now.
sub send_again { my ($from, $to, $bytes) = @_; my $again = transparent(SOCK_DGRAM, $from) // return; send($again, $bytes, 0, $to) }

# A socket for each new pair, at the place that is called and connected to who calls, which the kernel prefers from then on. What came
# before that is sent to it again, the first of it before it is connected, and so before all else. Calls with each, and its place.
sub carry_datagrams {
  my ($socket, $hand) = @_;
  my %made;
  for (1 .. $MOST_DATAGRAMS) {
    my ($from, $to, $bytes) = receive_first($socket) or last;
    next if $to eq '';
    if (exists $made{"$from$to"}) { send_again($from, $to, $bytes); next }
    next unless pair_token();
    my $pair = transparent(SOCK_DGRAM, $to) // next;
    send_again($from, $to, $bytes);
    connect($pair, $from) or next;
    my ($port, $address) = unpack_sockaddr_in($to);
    $made{"$from$to"} = 1;
    $hand->($pair, inet_ntoa($address), $port);
  }
}
`;
