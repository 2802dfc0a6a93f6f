/** Of the Perl programs: which setting forbids a step, and what to do, in a sentence. */
export const REFUSALS = String.raw`
sub setting { my ($key) = @_; my $value = slurp("/proc/sys/$key") // return undef; chomp $value; return $value }

# As they are before the sandbox begins: a user namespace has limits of its own, which are not the ones that it is held to.
my @SORTS = qw(user net mnt pid ipc uts cgroup);
my %LIMITS = map { $_ => setting("user/max_$_" . '_namespaces') // '' } @SORTS;
# Whether a filter of system calls is laid on this process (proc_pid_status(5)): else no filter is what forbids.
my $FILTERED = (slurp('/proc/self/status') // '') =~ /^Seccomp:\s+[12]$/m;
my $ELSEWHERE = 'or run weft run on the host';
my $OPENED = '--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined';

sub reason {
  my ($step, $what, $errno) = @_;
  my $words = do { local $! = $errno; "$!" };
  my $forbidden = $errno == 1 || $errno == 13;
  if ($step eq 'user' || $step eq 'unshare' || $step eq 'map') {
    return 'kernel.unprivileged_userns_clone is 0, which lets root alone make user namespaces; set it: sysctl -w kernel.unprivileged_userns_clone=1' if $forbidden && (setting('kernel/unprivileged_userns_clone') // '1') eq '0';
    if ($errno == 28) {
      for my $sort (@SORTS) {
        return "user.max_$sort" . "_namespaces is 0, so nobody may make such a namespace; set it: sysctl -w user.max_$sort" . '_namespaces=10000' if $LIMITS{$sort} eq '0';
      }
      my ($key) = map { "user.max_$_" . '_namespaces' } $what eq 'mount' ? 'mnt' : $what;
      my $limit = $LIMITS{$what eq 'mount' ? 'mnt' : $what};
      return "there are as many $what namespaces as $key permits ($limit), or they lie too deep in each other; raise it: sysctl -w $key=" . 2 * $limit;
    }
    return "this kernel has no $what namespaces; run one that is built with CONFIG_NAMESPACES and CONFIG_USER_NS" if $errno == 22;
  }
  if ($forbidden && (setting('kernel/apparmor_restrict_unprivileged_userns') // '0') eq '1') {
    return 'kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04 and later), which takes the rights in a user namespace from programs without a profile; set it: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give /usr/bin/perl an AppArmor profile with "userns,"';
  }
  if ($forbidden && $step =~ /^(?:user|unshare|map|mount)$/) {
    my $call = $step eq 'mount' ? "mount of $what" : $step eq 'map' ? "write to $what" : "unshare of a $what namespace";
    return "a filter of system calls forbids it ($call: $words), as a container's does by default; let the container make namespaces (docker run $OPENED), let the unit (no RestrictNamespaces= and SystemCallFilter=), $ELSEWHERE" if $FILTERED;
    return "no namespace may be made in a chroot ($call: $words), or by a policy of SELinux or AppArmor, which the kernel's log names (dmesg); run weft run outside of the chroot, or have the policy permit it to /usr/bin/perl";
  }
  return "this kernel has no veth interfaces ($words); load them once as root: modprobe veth" if $what eq 'veth' && ($errno == 95 || $errno == 22);
  return "parts of /proc are covered here ($words), as a container's are by default, so a new one cannot be shown without them; run the container with --security-opt systempaths=unconfined (Kubernetes: procMount: Unmasked), $ELSEWHERE" if $step eq 'proc';
  return "$what cannot be written ($words): /proc/sys is read-only here, as in a container; run it with --security-opt systempaths=unconfined (a unit: without ProtectKernelTunables=), $ELSEWHERE" if $step eq 'write' && $what =~ m{^/proc/sys} && ($errno == 30 || $forbidden);
  return "the directory $what may not be entered by this user ($words); begin in another" if $step eq 'directory' && $errno == 13;
  return "the directory $what is not seen in the sandbox ($words), for it lies where sockets of the host are; begin in another" if $step eq 'directory';
  return "the directory $what is of the agent, which no program in a sandbox sees; begin in another" if $step eq 'agent';
  return "$what unix sockets are bound where the program would see them, and 4096 are covered at most; end who leaves them" if $step eq 'sockets';
  return "$step $what: $words";
}

sub refuse {
  my ($step, $what, $errno) = @_;
  print STDERR "weft: cannot make the sandbox: ", reason($step, $what, $errno), "\n";
  exit 1;
}
`;
