/** Of the Perl programs: what a program in a sandbox sees of the host's files, as mount(2) makes it. */
export const VIEW = String.raw`
my ($MS_REMOUNT, $MS_BIND, $MS_MOVE, $MS_REC) = (32, 4096, 8192, 16384);
# Mounts of one sandbox: each is kept by the kernel.
my $MOST_SOCKETS = 4_096;

sub mount_tree { my ($from, $at, $type, $flags, $data) = @_; return defined call('mount', $from, $at, $type, $flags, $data // 0) }
# nosuid and nodev
sub cover { my ($at, $options) = @_; mount_tree('weft', $at, 'tmpfs', 6, $options) or refuse(mount => $at, $! + 0) }
sub cover_file { my ($at) = @_; mount_tree('/dev/null', $at, 0, $MS_BIND) or $! == 2 or refuse(mount => $at, $! + 0) }
sub make_parents { my ($path) = @_; my $at = ''; for my $part (split m{/}, $path) { next if $part eq ''; $at .= "/$part"; mkdir $at } }
sub lies_in { my ($path, $directory) = @_; return $path eq $directory || index($path, $directory eq '/' ? '/' : "$directory/") == 0 }
sub same_place { my ($path) = @_; my @facts = stat $path; return @facts ? "$facts[0]:$facts[1]" : '' }

# Without links, of what there is (by O_PATH); undefined where this user does not get there, and so neither its program.
sub real_path { my ($path) = @_; sysopen(my $file, $path, 010000000) or return undef; return readlink('/proc/self/fd/' . fileno $file) }

# Paths that sockets are bound to (unix(7)), of any kind, as the host's own network namespace tells: a new one tells of none.
sub bound_sockets {
  my $table = slurp('/proc/self/net/unix') // refuse(read => '/proc/self/net/unix', $! + 0);
  my %paths;
  for my $line (split /\n/, $table) { my $path = (split ' ', $line, 8)[7] // ''; $paths{$path} = 1 if $path =~ m{^/} }
  return sort keys %paths;
}

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

# What lies where the program begins is what it is to work on: with all that is mounted in it, for the kernel binds no part of a tree
# that came from another user namespace. It is brought back before anything in it is covered, since a cover is not brought along.
sub cover_temporary {
  my ($home) = @_;
  if (!lies_in($home, '/tmp')) { cover('/tmp', 'mode=1777'); return }
  my $kept = '/run/weft-work';
  mkdir $kept;
  mount_tree($home, $kept, 0, $MS_BIND | $MS_REC) or refuse(mount => $home, $! + 0);
  cover('/tmp', 'mode=1777');
  make_parents($home);
  mount_tree($kept, $home, 0, $MS_MOVE) or refuse(mount => $home, $! + 0);
  rmdir $kept;
}

# A socket's directory where nothing but sockets is in it: an agent that is started again puts another in its place, which no cover of the first is on.
sub cover_of {
  my ($path) = @_;
  return $path unless -S $path;
  my ($directory) = $path =~ m{^(.+)/};
  return $path unless defined $directory && opendir(my $listing, $directory);
  return (grep { !/^\.\.?$/ && !-S "$directory/$_" } readdir $listing) ? $path : $directory;
}

# That other one, where there is more in the directory.
sub cover_again { my ($sandbox) = @_; for my $path (@{$sandbox->{hide}}) { mount_tree('/dev/null', $path, 0, $MS_BIND) if -S $path } }

sub cover_told {
  my ($sandbox) = @_;
  for my $path (@{$sandbox->{hide}}) {
    refuse(agent => $sandbox->{directory}, 0) if lies_in($sandbox->{directory}, $path);
    # There all is made anew, and what the sandbox keeps lies there itself.
    next if lies_in($path, '/run') || lies_in($path, '/var/run');
    if (-d $path) { cover($path, 'mode=0500,size=4k') }
    elsif (-e $path) { cover_file($path) }
  }
  my @seen = grep { -S $_ } @{$sandbox->{sockets}};
  refuse(sockets => scalar @seen, 0) if @seen > $MOST_SOCKETS;
  cover_file($_) for @seen;
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
  # Not /run/weft, where an agent's own socket may be; and no weft-, as what is there only while the view is made.
  mkdir '/run/weft.files';
  my $copy = '/run/weft.files/' . ($path =~ m{([^/]+)$})[0];
  spew($copy, $text) or refuse(write => $copy, $! + 0);
  return -e $real ? mount_tree($copy, $real, 0, $MS_BIND) : 0;
}

# Devices that hold nothing of the host; terminals of its own, and the caller's as /dev/console, where ttyname(3) finds it.
sub make_devices {
  my ($terminal) = @_;
  my $new = '/run/weft-dev';
  mkdir $new;
  cover($new, 'mode=0755,size=64k');
  my %from = map { $_ => "/dev/$_" } grep { -e "/dev/$_" } qw(null zero full random urandom tty);
  $from{console} = $terminal if defined $terminal;
  for my $name (sort keys %from) {
    spew("$new/$name", '');
    mount_tree($from{$name}, "$new/$name", 0, $MS_BIND) or refuse(mount => "/dev/$name", $! + 0);
  }
  mkdir "$new/$_" for qw(pts shm mqueue);
  cover("$new/shm", 'mode=1777');
  # Where the kernel makes none, the program has no new terminals: the host's are those of this user's other sessions.
  mount_tree('devpts', "$new/pts", 'devpts', 10, 'newinstance,ptmxmode=0666,mode=0620');
  mount_tree('mqueue', "$new/mqueue", 'mqueue', 14);
  symlink $$_[1], "$new/$$_[0]" for ['ptmx', 'pts/ptmx'], ['fd', '/proc/self/fd'], ['stdin', '/proc/self/fd/0'], ['stdout', '/proc/self/fd/1'], ['stderr', '/proc/self/fd/2'];
  mount_tree($new, '/dev', 0, $MS_MOVE) or refuse(mount => '/dev', $! + 0);
  rmdir $new;
}

# Fails where some of it is covered, as in many containers: what the host's own shows would be seen then.
sub make_proc {
  mount_tree('proc', '/proc', 'proc', 14) or refuse(proc => '/proc', $! + 0);
  for my $path (grep { -e $_ } map { "/proc/$_" } qw(sys sysrq-trigger irq bus fs)) {
    mount_tree($path, $path, 0, $MS_BIND) && mount_tree('none', $path, 0, $MS_REMOUNT | $MS_BIND | 15) or refuse(mount => $path, $! + 0);
  }
}

# Interfaces of its own network, and its limits as its control group has them, neither to be written.
sub make_sys {
  my $groups = '/sys/fs/cgroup';
  my ($kept, $unified) = ('/run/weft-cgroup', (slurp('/proc/self/mounts') // '') =~ m{^\S+ $groups cgroup2 }m);
  my $there = -d $groups && mkdir($kept) && mount_tree($groups, $kept, 0, $MS_BIND | $MS_REC);
  # AT_FDCWD, AT_RECURSIVE; MOUNT_ATTR_RDONLY. Before Linux 5.12 there is no such call.
  my $attributes = pack('Q4', 1, 0, 0, 0);
  my $fixed = $there && defined call('mount_setattr', -100, $kept, 0x8000, $attributes, 32);
  # Where the kernel makes none, none is seen.
  mount_tree('sysfs', '/sys', 'sysfs', 15) or cover('/sys', 'mode=0755,size=4k');
  make_parents($groups);
  my $made = $unified && mount_tree('cgroup2', $groups, 'cgroup2', 15);
  $made = mount_tree($kept, $groups, 0, $MS_MOVE) if !$made && $fixed && -d $groups;
  # MNT_DETACH; what was moved is there no longer.
  call('umount2', $kept, 2) if $there;
  rmdir $kept;
}

sub make_view {
  my ($sandbox) = @_;
  mount_tree('none', '/', 0, 0x40000 | $MS_REC) or refuse(mount => '/', $! + 0); # MS_PRIVATE
  my $home = $sandbox->{directory};
  my $begins = same_place($home);
  cover_run('/run');
  cover_run('/var/run') if -d '/var/run' && !-l '/var/run';
  cover_temporary($home);
  cover_told($sandbox);
  put_file('/etc/resolv.conf', "nameserver $HERE\nsearch internal\noptions timeout:2 attempts:2\n") or refuse(mount => '/etc/resolv.conf', $! + 0);
  put_file('/etc/hosts', "127.0.0.1 localhost\n::1 localhost ip6-localhost\n$PROGRAM $sandbox->{name}\n");
  my $switch = slurp('/etc/nsswitch.conf') // '';
  $switch =~ s/^hosts:.*$/hosts: files dns/m;
  put_file('/etc/nsswitch.conf', $switch) if $switch ne '';
  make_devices($sandbox->{terminal});
  make_sys();
  make_proc();
  call('sethostname', $sandbox->{name}, length $sandbox->{name});
  chdir $home or refuse(directory => $home, $! + 0);
  # Another one may stand there now. In /run an empty one of this user's does, as cover_run says.
  same_place('.') eq $begins || $home =~ m{^/(?:var/)?run/} or refuse(directory => $home, 2);
}
`;
