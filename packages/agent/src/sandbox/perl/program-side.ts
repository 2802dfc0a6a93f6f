/** Of the Perl programs: what a program in a sandbox sees of the host, and process 1 that it runs under. */
export const PROGRAM_SIDE = String.raw`
sub mount_tree { my ($from, $at, $type, $flags, $data) = @_; return defined call('mount', $from, $at, $type, $flags, $data // 0) }
# nosuid and nodev
sub cover { my ($at, $options) = @_; mount_tree('weft', $at, 'tmpfs', 6, $options) or refuse(mount => $at, $! + 0) }
sub make_parents { my ($path) = @_; my $at = ''; for my $part (split m{/}, $path) { next if $part eq ''; $at .= "/$part"; mkdir $at } }

# Those that a program of this user could talk to, or that its own may want to make: each of the host's is out of sight, and an empty one of this user's stands in its place.
sub cover_run {
  my ($run) = @_;
  my @mine;
  if (opendir(my $listing, $run)) {
    for my $name (sort readdir $listing) {
      next if $name =~ /^\.\.?$/ || @mine >= 256;
      push @mine, $name if -d "$run/$name" && !-l "$run/$name" && -o _;
    }
  }
  cover($run, 'mode=0755,size=64m');
  mkdir "$run/$_" for @mine;
  mkdir "$run/lock";
  mkdir "$run/user"; mkdir "$run/user/$>", 0700;
}

# Listening by a path (unix(7)): what already listens where the program can see it is covered one by one.
sub cover_sockets {
  for my $line (split /\n/, slurp('/proc/self/net/unix') // '') {
    my @fields = split ' ', $line, 8;
    my $path = $fields[7] // '';
    next unless $path =~ m{^/} && hex($fields[3] // 0) & 0x10000 && -S $path; # SO_ACCEPTCON
    mount_tree('/dev/null', $path, 0, 4096) or $! == 2 or refuse(mount => $path, $! + 0);
  }
}

# In place of the file of that name, where there is one; a link into what is covered leads to a new one.
sub put_file {
  my ($path, $text) = @_;
  my $real = $path;
  for (1 .. 8) { last unless -l $real; my $to = readlink $real; $real = $to =~ m{^/} ? $to : ($real =~ m{^(.*)/} ? "$1/$to" : $to) }
  1 while $real =~ s{/[^/.][^/]*/\.\./}{/};
  if ($real =~ m{^/(?:run|var/run|tmp)/}) {
    make_parents($real =~ m{^(.*)/}); 
    return spew($real, $text);
  }
  mkdir '/run/weft';
  my $copy = '/run/weft/' . ($path =~ m{([^/]+)$})[0];
  spew($copy, $text) or refuse(write => $copy, $! + 0);
  return -e $real ? mount_tree($copy, $real, 0, 4096) : 0;
}

sub make_view {
  my ($sandbox) = @_;
  mount_tree('none', '/', 0, 0x44000) or refuse(mount => '/', $! + 0); # MS_REC, MS_PRIVATE
  my $home = $sandbox->{directory};
  cover_sockets();
  for my $path (@{$sandbox->{hide}}) { cover($path, 'mode=0500,size=4k') if -d $path }
  cover_run('/run');
  cover_run('/var/run') if -d '/var/run' && !-l '/var/run';
  if ($home =~ m{^/tmp(/|$)}) {
    # What lies where the program begins is what it is to work on.
    mount_tree($home, '/run/weft-work', 0, 4096) if mkdir '/run/weft-work';
    cover('/tmp', 'mode=1777');
    make_parents($home);
    mount_tree('/run/weft-work', $home, 0, 4096) or refuse(mount => $home, $! + 0);
  } else { cover('/tmp', 'mode=1777') }
  cover('/dev/shm', 'mode=1777') if -d '/dev/shm' && !-l '/dev/shm';
  put_file('/etc/resolv.conf', "nameserver $HERE\nsearch internal\noptions timeout:2 attempts:2\n") or refuse(mount => '/etc/resolv.conf', $! + 0);
  put_file('/etc/hosts', "127.0.0.1 localhost\n::1 localhost ip6-localhost\n$PROGRAM $sandbox->{name}\n");
  my $switch = slurp('/etc/nsswitch.conf') // '';
  $switch =~ s/^hosts:.*$/hosts: files dns/m;
  put_file('/etc/nsswitch.conf', $switch) if $switch ne '';
  # Fails where some of it is covered, as in many containers: what the host's own shows would be seen then.
  mount_tree('proc', '/proc', 'proc', 14) or refuse(proc => '/proc', $! + 0);
  mount_tree('sysfs', '/sys', 'sysfs', 15);
  call('sethostname', $sandbox->{name}, length $sandbox->{name});
  chdir $home or refuse(directory => $home, $! + 0);
}

# No capability, now or by any file that is run.
sub give_up_all {
  for my $capability (0 .. 63) { last unless defined call('prctl', 24, $capability, 0, 0, 0) } # PR_CAPBSET_DROP
  call('prctl', 47, 4, 0, 0, 0); # PR_CAP_AMBIENT_CLEAR_ALL
  my ($header, $none) = (pack('L l', 0x20080522, 0), pack('L6', 0, 0, 0, 0, 0, 0));
  defined call('capset', $header, $none) or return 0;
  return defined call('prctl', 38, 1, 0, 0, 0) && filter_calls(); # PR_SET_NO_NEW_PRIVS
}

# seccomp(2): sockets of the families that a namespace holds, and no others (vsock leads to the machine's host), nor what makes sockets unseen.
sub filter_calls {
  my ($architecture, $socket, $ring) = $arm ? (0xc00000b7, 198, 425) : (0xc000003e, 41, 425);
  my ($no_call, $no_family, $yes) = (0x00050026, 0x00050061, 0x7fff0000); # ENOSYS, EAFNOSUPPORT, allowed
  # struct sock_filter: code, jump if so, jump if not, value
  my @code = (
    [0x20, 0, 0, 4], [0x15, 1, 0, $architecture], [0x06, 0, 0, $no_call],
    [0x20, 0, 0, 0], [0x35, 0, 1, 0x40000000], [0x06, 0, 0, $no_call], # x32
    [0x15, 0, 1, $ring], [0x06, 0, 0, $no_call],
    [0x15, 0, 6, $socket], [0x20, 0, 0, 16],
    [0x15, 4, 0, 1], [0x15, 3, 0, 2], [0x15, 2, 0, 10], [0x15, 1, 0, 16], # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
    [0x06, 0, 0, $no_family], [0x06, 0, 0, $yes],
  );
  my $filter = join '', map { pack('S C C L', @$_) } @code;
  my $program = pack('S x6 Q', scalar @code, pointer($filter));
  return defined call('prctl', 22, 2, $program, 0, 0); # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
}

# Process 1: starts the program when it is told to, passes signals on, ends with it, and all that it left with that.
sub be_first {
  my ($sandbox, $line, $before) = @_;
  call('prctl', 1, 9, 0, 0, 0); # PR_SET_PDEATHSIG
  $0 = "weft run $sandbox->{service}: first process";
  enter($sandbox->{networks}{program});
  # mounts, messages, name, control groups
  defined call('unshare', 0x00020000 | 0x08000000 | 0x04000000 | 0x02000000) or refuse(unshare => 'mount', $! + 0);
  make_view($sandbox);
  syswrite($line, "made\n");
  my $signals = signal_file(signal_set($SIGNALS{CHLD}));
  my ($heard, $program) = ('');
  while (1) {
    my $ready = '';
    vec($ready, fileno $_, 1) = 1 for $line, $signals;
    next if select($ready, undef, undef, undef) < 0;
    if (vec($ready, fileno $line, 1)) {
      # Who supervises is gone: all goes.
      sysread($line, $heard, 4096, length $heard) or exit 1;
      while ($heard =~ s/^(\w+) ?(\d*)\n//) {
        if ($1 eq 'start' && !$program) {
          $program = fork() // refuse(fork => 'program', $! + 0);
          start_program($sandbox, $before) if $program == 0;
        }
        kill $2, $program if $1 eq 'signal' && $program;
      }
    }
    while (next_signal($signals)) {}
    while (my ($child, $status) = next_child()) {
      next unless $program && $child == $program;
      if (($status & 0xff) == 0x7f) { syswrite($line, "stopped\n"); next }
      syswrite($line, "ended $status\n");
      exit 0;
    }
  }
}

sub start_program {
  my ($sandbox, $before) = @_;
  give_up_all() or refuse(rights => 'capabilities', $! + 0);
  $SIG{PIPE} = 'DEFAULT';
  block($before);
  # A socket that the caller left open would be a way out.
  call('close_range', 3, 0x7fffffff, 0);
  my @command = @{$sandbox->{command}};
  exec { $command[0] } @command;
  my $errno = $! + 0;
  # A folder of PATH that is closed to this user hides that it is nowhere.
  $errno = 2 if $errno == 13 && $command[0] !~ m{/} && !grep { -e "$_/$command[0]" } split /:/, $ENV{PATH} // '';
  $! = $errno;
  print STDERR "weft: cannot run $command[0]: $!\n";
  # At once: what Perl would close first is closed already.
  call('exit_group', $errno == 2 ? 127 : 126);
}
`;
