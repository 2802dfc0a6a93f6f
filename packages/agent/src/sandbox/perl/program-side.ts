/** Of the Perl programs: process 1, and the program that it starts, with what that may no longer do. */
export const PROGRAM_SIDE = String.raw`
# No capability, now or by any file that is run.
sub give_up_all {
  for my $capability (0 .. 63) { last unless defined call('prctl', 24, $capability, 0, 0, 0) } # PR_CAPBSET_DROP
  call('prctl', 47, 4, 0, 0, 0); # PR_CAP_AMBIENT_CLEAR_ALL
  my ($header, $none) = (pack('L l', 0x20080522, 0), pack('L6', 0, 0, 0, 0, 0, 0));
  defined call('capset', $header, $none) or return 0;
  leave_keys();
  return defined call('prctl', 38, 1, 0, 0, 0) && filter_calls(); # PR_SET_NO_NEW_PRIVS
}

# What the kernel itself looks up for the program is not in the caller's keyring (KEYCTL_JOIN_SESSION_KEYRING). A kernel may have no
# keys, or the user as many as it may have; the calls are refused to the program in any case.
sub leave_keys { defined call('keyctl', 1, 0) or $! == 38 or $! == 122 or refuse(keys => 'a session keyring', $! + 0) }

# A socket that the caller left open would be a way out. Before Linux 5.9 they are closed one by one.
sub close_files {
  return if defined call('close_range', 3, 0x7fffffff, 0);
  opendir(my $listing, '/proc/self/fd') or refuse(close => 'files of the caller', $! + 0);
  my @open = grep { /^\d+$/ && $_ > 2 } readdir $listing;
  closedir $listing;
  call('close', $_ + 0) for @open;
}

# One by one, so that it is known whose limit was met.
sub leave_host {
  for my $each (['mount', 0x00020000], ['ipc', 0x08000000], ['uts', 0x04000000], ['cgroup', 0x02000000]) {
    defined call('unshare', $each->[1]) or refuse(unshare => $each->[0], $! + 0);
  }
}

# Process 1: starts the program when it is told to, passes signals on, ends with it, and all that it left with that.
sub be_first {
  my ($sandbox, $line, $before) = @_;
  call('prctl', 1, 9, 0, 0, 0); # PR_SET_PDEATHSIG
  $0 = "weft run $sandbox->{service}: first process";
  enter($sandbox->{networks}{program});
  leave_host();
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
        if ($1 eq 'cover') { cover_again($sandbox); next }
        if ($1 eq 'start' && !$program) {
          $program = fork() // refuse(fork => 'program', $! + 0);
          start_program($sandbox, $before, $2) if $program == 0;
          # Here too, for a signal may come first.
          setpgrp($program, $program);
        }
        next unless $program;
        kill $2, $program if $1 eq 'signal';
        kill $2, -$program or kill $2, $program if $1 eq 'group';
        take_terminal($program) if $1 eq 'front';
      }
    }
    while (next_signal($signals)) {}
    while (my ($child, $status) = next_child()) {
      next unless $program && $child == $program;
      if (($status & 0xff) == 0x7f) { syswrite($line, 'stopped ' . ($status >> 8) . "\n"); next }
      syswrite($line, "ended $status\n");
      exit 0;
    }
  }
}

sub start_program {
  my ($sandbox, $before, $front) = @_;
  # Of its own: a signal to a group goes to all of it, in whichever namespace of processes they are.
  setpgrp(0, 0);
  take_terminal($$) if $front;
  give_up_all() or refuse(rights => 'capabilities', $! + 0);
  $SIG{PIPE} = 'DEFAULT';
  block($before);
  close_files();
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
