#!/usr/bin/perl
# A host that much else runs on: large-host.pl PROCESSES SOCKETS. So many processes that sleep, and so many connected sockets, of this user;
# says ready, and all of it ends with this program.
use strict;
use Socket;
$| = 1;
my ($processes, $sockets) = @ARGV;
my $each = 9_000;
# Whoever waits at the one end wakes when the other end's only holder is gone.
pipe(my $end, my $held) or die "pipe: $!\n";

sub child {
  my ($begin) = @_;
  my $pid = fork();
  die "fork: $!\n" unless defined $pid;
  return if $pid;
  close($held);
  $begin->();
  sysread($end, my $nothing, 1);
  exit;
}

pipe(my $made, my $tell) or die "pipe: $!\n";
my $makers = 0;
for (my $left = $sockets; $left > 0; $left -= $each) {
  my $pairs = int(($left < $each ? $left : $each) / 2);
  $makers++;
  child(sub {
    my @all;
    my $listener;
    socket($listener, PF_INET, SOCK_STREAM, 0) && bind($listener, pack_sockaddr_in(0, INADDR_LOOPBACK)) && listen($listener, 128) or die "listen: $!\n";
    for (1 .. $pairs) {
      my ($one, $other);
      socket($one, PF_INET, SOCK_STREAM, 0) && connect($one, getsockname($listener)) && accept($other, $listener) or die "socket: $!\n";
      push @all, $one, $other;
    }
    syswrite($tell, '.');
    our @kept = @all;
  });
}
for (1 .. $makers) { sysread($made, my $one, 1) == 1 or die "sockets: not all were made\n"; }
child(sub { }) for 1 .. $processes;
print "ready\n";
sleep 3_600;
