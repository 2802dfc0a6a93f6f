/** Of the Perl programs: which system calls a program in a sandbox is refused. */
export const FILTER = `
# seccomp(2): sockets of the families that a namespace holds, and no others (vsock leads to the machine's host), nor what makes sockets
# unseen; nothing typed at the caller's terminal (TIOCSTI, TIOCLINUX); no keys, for no namespace holds them.
sub filter_calls {
  my $architecture = $arm ? 0xc00000b7 : 0xc000003e; # AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64
  my ($socket, $ioctl, @unseen) = @number{qw(socket ioctl io_uring_setup add_key request_key keyctl)};
  my ($no_call, $no_family, $not_permitted, $yes) = (0x00050026, 0x00050061, 0x00050001, 0x7fff0000); # ENOSYS, EAFNOSUPPORT, EPERM, allowed
  # struct sock_filter: code, jump if so, jump if not, value
  my @code = (
    [0x20, 0, 0, 4], [0x15, 1, 0, $architecture], [0x06, 0, 0, $no_call],
    [0x20, 0, 0, 0], [0x35, 0, 1, 0x40000000], [0x06, 0, 0, $no_call], # x32
    map({ ([0x15, 0, 1, $_], [0x06, 0, 0, $no_call]) } @unseen), # io_uring_setup, add_key, request_key, keyctl
    # The kernel takes the low half of a request alone.
    [0x15, 0, 5, $ioctl], [0x20, 0, 0, 24], [0x15, 1, 0, 0x5412], [0x15, 0, 1, 0x541c], [0x06, 0, 0, $not_permitted], [0x06, 0, 0, $yes],
    [0x15, 0, 6, $socket], [0x20, 0, 0, 16],
    [0x15, 4, 0, 1], [0x15, 3, 0, 2], [0x15, 2, 0, 10], [0x15, 1, 0, 16], # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
    [0x06, 0, 0, $no_family], [0x06, 0, 0, $yes],
  );
  my $filter = join '', map { pack('S C C L', @$_) } @code;
  my $program = pack('S x6 Q', scalar @code, pointer($filter));
  return defined call('prctl', 22, 2, $program, 0, 0); # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
}
`;
