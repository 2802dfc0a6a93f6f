/** Of the Perl programs: the two network namespaces of a sandbox, made by rtnetlink(7), for a small host has no ip(8). */
export const NETWORK = String.raw`
# struct nlmsghdr, then what is asked; the answer's errno, 0 for done. REQUEST and ACK are always asked for.
sub netlink {
  my ($type, $flags, $body) = @_;
  socket(my $kernel, 16, 3, 0) or return $! + 0; # AF_NETLINK, SOCK_RAW, NETLINK_ROUTE
  syswrite($kernel, pack('L S S L L', 16 + length $body, $type, 5 | $flags, 1, 0) . $body) or return $! + 0;
  sysread($kernel, my $answer, 8192) or return $! + 0;
  my (undef, $kind, undef, undef, undef, $errno) = unpack('L S S L L l', $answer);
  return $kind == 2 ? -$errno : 71;
}
# struct rtattr
sub attribute { my ($type, $value) = @_; my $length = 4 + length $value; return pack('S S', $length, $type) . $value . "\0" x (-$length % 4) }
# struct ifinfomsg
sub link_message { my ($index, $flags, $change) = @_; return pack('C x S l L L', 0, 0, $index, $flags, $change) }
# By SIOCGIFINDEX; 0 where there is none.
sub link_index { my ($name) = @_; socket(my $any, AF_INET, SOCK_DGRAM, 0) or return 0; my $request = pack('a16 x24', $name); return ioctl($any, 0x8933, $request) ? unpack('x16 l', $request) : 0 }
sub link_up { my ($name) = @_; return netlink(16, 0, link_message(link_index($name), 1, 1)) }
# Both ends at once: one here, the other in that namespace.
sub link_pair {
  my ($name, $namespace) = @_;
  my $peer = link_message(0, 0, 0) . attribute(3, "$name\0") . attribute(28, pack('L', fileno $namespace));
  my $data = attribute(1, 'veth') . attribute(2, attribute(1, $peer));
  return netlink(16, 0x600, link_message(0, 0, 0) . attribute(3, "$name\0") . attribute(18, $data));
}
# struct ifaddrmsg
sub link_address { my ($name, $address, $prefix) = @_; my $raw = inet_aton($address); return netlink(20, 0x600, pack('C C C C L', AF_INET, $prefix, 0, 0, link_index($name)) . attribute(2, $raw) . attribute(1, $raw)) }
# struct rtmsg: family, lengths, service, table, who made it, scope, sort
sub route { my ($prefix, $table, $scope, $sort, $attributes) = @_; return netlink(24, 0x600, pack('C8 L', AF_INET, $prefix, 0, 0, $table, 4, $scope, $sort, 0) . $attributes) }
sub route_by { my ($network, $prefix, $table, $gateway, $name) = @_; return route($prefix, $table, 0, 1, attribute(1, inet_aton($network)) . attribute(5, inet_aton($gateway)) . attribute(4, pack('L', link_index($name)))) }
sub route_local { my ($network, $prefix) = @_; return route($prefix, 255, 254, 2, attribute(1, inet_aton($network)) . attribute(4, pack('L', link_index('lo')))) }

sub network_set { my ($key, $value) = @_; spew("/proc/sys/net/$key", $value) or refuse(write => "/proc/sys/net/$key", $! + 0) }
sub made { my ($what, $errno) = @_; refuse(network => $what, $errno) if $errno }
sub open_namespace { open(my $file, '<', '/proc/self/ns/net') or refuse(open => '/proc/self/ns/net', $! + 0); return $file }
sub enter { my ($namespace) = @_; defined call('setns', fileno $namespace, 0x40000000) or refuse(enter => 'network namespace', $! + 0) }

my $LINK = 'weft0';
# Of RFC 7335: for within one host, and nobody's on any network.
my ($HERE, $PROGRAM) = ('192.0.0.1', '192.0.0.2');

# Begins in the program's namespace, which is new; ends in the agent's. Answers with both.
sub make_networks {
  my ($range, $prefix, $egress) = @_;
  my $program = open_namespace();
  made('lo up', link_up('lo'));
  defined call('unshare', 0x40000000) or refuse(unshare => 'net', $! + 0);
  my $agent = open_namespace();
  made('lo up', link_up('lo'));
  made('veth', link_pair($LINK, $program));
  for my $side ([$program, $PROGRAM], [$agent, $HERE]) {
    my ($namespace, $address) = @$side;
    enter($namespace);
    # A router's word, and an address by itself, are nobody's business here.
    network_set("ipv6/conf/$LINK/disable_ipv6", 1) if -e '/proc/sys/net/ipv6';
    # VIPs are of loopback by default.
    network_set("ipv4/conf/$LINK/route_localnet", 1);
    # What a program says from its loopback is of an address that is local on both sides.
    network_set("ipv4/conf/$LINK/accept_local", 1);
    network_set('ipv4/ip_unprivileged_port_start', 0);
    network_set('ipv4/ip_forward', 0);
    # A UDP socket at one of these is not published (opened.ts).
    network_set('ipv4/ip_local_port_range', '32768 60999');
    made("address $address", link_address($LINK, $address, 30));
    made("$LINK up", link_up($LINK));
  }
  made('route to the range', route_local($range, $prefix));
  # The program's loopback, for sockets that are bound to the wire: others find their own.
  made('route to the program', route_by('127.0.0.1', 32, 254, $PROGRAM, $LINK));
  enter($program);
  # In the table of local routes, where 127.0.0.0/8 stands, the longer prefix goes first.
  made('route to services', route_by($range, $prefix, 255, $HERE, $LINK));
  made('route to the internet', route_by('0.0.0.0', 0, 254, $HERE, $LINK)) if $egress;
  # RTN_PROHIBIT: of what goes to many nobody is told that it is refused, unless it does not leave.
  made('no route to many', route(4, 254, 0, 8, attribute(1, inet_aton('224.0.0.0')))) if $egress;
  enter($agent);
  return ($program, $agent);
}

# For datagrams in bursts, as the agent asks for its own; the kernel grants less where net.core.rmem_max says so.
sub ask_room { my ($socket) = @_; setsockopt($socket, SOL_SOCKET, SO_RCVBUF, 1 << 20) }

# SO_OOBINLINE, of a connection and of what a listener accepts: a byte that is sent as urgent stays where it was sent, and is no hole in the stream.
sub keep_urgent { my ($socket) = @_; setsockopt($socket, SOL_SOCKET, 10, 1) }

# A socket of one of them, as it is asked for; undefined with $!.
sub make_socket {
  my ($namespaces, $where, $kind, $host, $port, $from, $from_port) = @_;
  enter($namespaces->{$where}) if $where ne 'agent';
  my $socket;
  my $six = $host =~ /:/;
  my $good = socket($socket, $six ? AF_INET6 : AF_INET, $kind =~ /^udp/ ? SOCK_DGRAM : SOCK_STREAM, 0);
  my $errno = $! + 0;
  if ($where ne 'agent') { enter($namespaces->{agent}) }
  if (!$good) { $! = $errno; return undef }
  # The agent waits at none, and of a connection that is under way it hears how it ends: F_SETFL, O_NONBLOCK.
  fcntl($socket, 4, 04000) or return undef;
  if ($kind =~ /^udp/) { ask_room($socket) } else { keep_urgent($socket) }
  my $at = $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host) // "\0" x 16) : pack_sockaddr_in($port, inet_aton($host) // "\0\0\0\0");
  if ($kind eq 'tcp-listen') {
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    return bind($socket, $at) && listen($socket, 1024) ? $socket : undef;
  }
  return bind($socket, $at) ? $socket : undef if $kind eq 'udp';
  # SO_BINDTODEVICE: to the program's loopback, not to that of the agent's side.
  return undef if $where eq 'agent' && $host =~ /^127\./ && !setsockopt($socket, SOL_SOCKET, 25, "$LINK\0");
  # IP_BIND_ADDRESS_NO_PORT: else each call keeps its port from all others of its caller until a minute after its end.
  setsockopt($socket, 0, 24, 1) if $kind eq 'tcp' && !$from_port;
  return undef if defined $from && !bind($socket, pack_sockaddr_in($from_port // 0, inet_aton($from) // "\0\0\0\0"));
  # The agent connects it: to a socket that is connected already Node would not.
  return $socket if $kind eq 'udp-to';
  return connect($socket, $at) || $! == 115 ? $socket : undef; # EINPROGRESS
}
`;
