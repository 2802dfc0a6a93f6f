/** Of the Perl programs: which setting forbids a step, and what to do, in a sentence. */
export const REFUSALS = String.raw`
sub setting { my ($key) = @_; my $value = slurp("/proc/sys/$key") // return undef; chomp $value; return $value }

sub reason {
  my ($step, $what, $errno) = @_;
  my $words = do { local $! = $errno; "$!" };
  my $forbidden = $errno == 1 || $errno == 13;
  if ($step eq 'user' || $step eq 'unshare' || $step eq 'map') {
    return 'kernel.unprivileged_userns_clone is 0, which lets root alone make user namespaces; set it: sysctl -w kernel.unprivileged_userns_clone=1' if (setting('kernel/unprivileged_userns_clone') // '1') eq '0';
    for my $sort (qw(user net mnt pid ipc uts)) {
      return "user.max_$sort" . "_namespaces is 0, so nobody may make such a namespace; set it: sysctl -w user.max_$sort" . '_namespaces=10000' if (setting("user/max_$sort" . '_namespaces') // '1') eq '0';
    }
    return "there are as many $what namespaces as user.max_*_namespaces permits, or they lie too deep in each other; raise those (sysctl user)" if $errno == 28;
    return "this kernel has no $what namespaces; run one that is built with CONFIG_NAMESPACES and CONFIG_USER_NS" if $errno == 22;
  }
  if ($forbidden && (setting('kernel/apparmor_restrict_unprivileged_userns') // '0') eq '1') {
    return 'kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04 and later), which takes the rights in a user namespace from programs without a profile; set it: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give /usr/bin/perl an AppArmor profile with "userns,"';
  }
  return "a filter of system calls forbids it ($words), as a container's does by default; let the container make namespaces (docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined), or run weft run on the host" if $forbidden && $step =~ /^(?:user|unshare|map|mount)$/;
  return "this kernel has no veth interfaces ($words); load them once as root: modprobe veth" if $what eq 'veth' && ($errno == 95 || $errno == 22);
  return "parts of /proc are covered here ($words), as a container's are by default, so a new one cannot be shown without them; run the container with --security-opt systempaths=unconfined (Kubernetes: procMount: Unmasked), or run weft run on the host" if $step eq 'proc';
  return "$what cannot be written ($words): /proc/sys is read-only here, as in a container; run it with --security-opt systempaths=unconfined, or run weft run on the host" if $step eq 'write' && $what =~ m{^/proc/sys} && ($errno == 30 || $forbidden);
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
