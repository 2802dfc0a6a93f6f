/**
 * The program that asks the kernel of sockets (sock_diag(7)), as Node has no such sockets. It is told addresses and ports, and tells
 * numbers; a line asks, a line answers, in turn:
 *
 * - `c ADDRESS PORT ADDRESS PORT`: of the connection between the two, the end at the first: one socket, or none.
 * - `t PORT` and `u PORT`: who listens there for connections; who has the port for datagrams, or any port for 0.
 *
 * Addresses and ports are hexadecimal in the network's order. An answer is of words, one a socket, of
 * `address:port:other address:other port:state:v6only:user:inode:group`, an address of 8 or 32 digits; `-` for none, `!` where the kernel
 * answered something else. The group is the control group (of version 2) that it was made in, by the number of its directory's inode; empty where
 * the kernel does not tell.
 */
export const DIAGNOSIS_PROGRAM = `
use strict;
$| = 1;
socket(my $kernel, 16, 3, 4) or exit 1; # AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG
my %all = (t => [6, 1 << 10], u => [17, 0xffffffff]); # TCP_LISTEN alone; every state
while (defined(my $line = <STDIN>)) {
  my ($what, @words) = split ' ', $line;
  my @found;
  my $fine = 1;
  if ($what eq 'c') {
    my ($client, $port, $called, $to) = @words;
    # NLM_F_REQUEST. The kernel falls back to who listens at the caller's place: the caller is only who has the very addresses.
    $fine = ask(1, 2, 6, 0xffffffff, pack('H4 H4 H8 x12 H8 x12', $port, $to, $client, $called), \\@found);
    my $mapped = '00000000000000000000ffff';
    @found = grep {
      index($_, "$client:$port:$called:$to:") == 0 || index($_, "$mapped$client:$port:$mapped$called:$to:") == 0
    } @found;
  } else {
    my ($protocol, $states) = @{$all{$what} || []} or exit 1;
    # NLM_F_REQUEST | NLM_F_DUMP, of IPv4 and of IPv6
    $fine &&= ask(0x301, $_, $protocol, $states, pack('H4 x2 x16 x16', $words[0]), \\@found) for 2, 10;
  }
  print !$fine ? "!\\n" : @found ? "@found\\n" : "-\\n";
}

sub ask {
  my ($flags, $family, $protocol, $states, $id, $found) = @_;
  # struct nlmsghdr with SOCK_DIAG_BY_FAMILY; struct inet_diag_req_v2: no extensions; struct inet_diag_sockid: no interface, no cookie
  my $ask = pack('L S S L L C C C C L', 72, 20, $flags, 1, 0, $family, $protocol, 0, 0, $states) . $id . pack('L L L', 0, 0xffffffff, 0xffffffff);
  syswrite($kernel, $ask) or exit 1;
  while (1) {
    my $size = sysread($kernel, my $answer, 262144) or exit 1;
    for (my $at = 0; $at + 16 <= $size;) {
      my ($length, $type) = unpack("x$at L S", $answer);
      # NLMSG_DONE, and what failed: in the midst of a list, or that there is nothing to list such sockets by (udp_diag)
      return $length < 20 || unpack("x$at x16 l", $answer) == 0 if $type == 3;
      # NLMSG_ERROR: ENOENT is of one socket that is not there.
      return $flags == 1 && unpack("x$at x16 l", $answer) == -2 if $type == 2;
      return 0 if $type != 20 || $length < 88 || $at + $length > $size;
      # struct inet_diag_msg: family, state, 2 bytes, the id (ports, addresses, interface, cookie), expires, two queues, user, inode
      my ($of, $state, $port, $to, $from, $other, $user, $inode) = unpack("x$at x16 C C x2 H4 H4 H32 H32 x24 L L", $answer);
      my ($group, $alone) = ('', 0);
      for (my $next = $at + 88; $next + 4 <= $at + $length;) {
        my ($long, $which) = unpack("x$next S S", $answer);
        last if $long < 4;
        $group = unpack("x$next x4 Q", $answer) if $which == 21 && $long >= 12; # INET_DIAG_CGROUP_ID
        $alone = unpack("x$next x4 C", $answer) if $which == 11 && $long >= 5; # INET_DIAG_SKV6ONLY
        $next += ($long + 3) & ~3;
      }
      ($from, $other) = map { substr($_, 0, 8) } $from, $other if $of == 2;
      # One that waits out its time is nobody's any more.
      push @$found, join ':', $from, $port, $other, $to, $state, $alone, $user, $inode, $group if $inode && ($flags == 1 ? $state != 10 && $state != 2 : $state != 10 || $protocol == 6); # TCP_LISTEN, TCP_SYN_SENT
      $at += ($length + 3) & ~3;
      return 1 if $flags == 1;
    }
  }
}
`;
