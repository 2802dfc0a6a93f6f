/** Of the Perl programs: system calls that Perl has no words for, signals, and files that go from process to process. */
import { NUMBERS } from './numbers.ts';

export const SYSTEM = String.raw`
use strict;
use warnings;
no warnings 'exec';
use Socket qw(AF_UNIX AF_INET AF_INET6 SOCK_STREAM SOCK_DGRAM SOL_SOCKET SO_ERROR SO_RCVBUF SO_REUSEADDR SOMAXCONN PF_UNSPEC inet_aton inet_pton pack_sockaddr_in pack_sockaddr_in6 pack_sockaddr_un);

# As Node names it.
my $arm = shift(@ARGV) eq 'arm64';
${NUMBERS}

# Not copied: the kernel writes into what it is given room in.
sub call { my $name = shift; my $result = syscall($number{$name}, @_); return $result == -1 ? undef : $result }
sub pointer { return unpack('Q', pack('P', $_[0])) }
sub slurp { my ($path) = @_; open(my $file, '<', $path) or return undef; local $/; return scalar <$file> }
sub spew { my ($path, $text) = @_; open(my $file, '>', $path) or return 0; my $done = syswrite($file, $text); return defined $done && close($file) }

# The next child that has ended or stopped, and its status as wait(2) has it, which Perl's own $? is not where it stopped; nothing where none has.
sub next_child { my $status = pack('i', 0); my $child = call('wait4', -1, $status, 3, 0) // 0; return $child > 0 ? ($child, unpack('i', $status)) : () } # WNOHANG, WUNTRACED

# Words that cross a line: all but what needs no telling apart is written as %XX.
sub word { my ($text) = @_; $text =~ s/([^A-Za-z0-9._:\/,=-])/sprintf('%%%02X', ord $1)/ge; return $text eq '' ? '%' : $text }
sub text { my ($word) = @_; return '' if $word eq '%'; $word =~ s/%([0-9A-F]{2})/chr hex $1/ge; return $word }

my %SIGNALS = (HUP => 1, INT => 2, QUIT => 3, USR1 => 10, USR2 => 12, TERM => 15, CHLD => 17, CONT => 18, TSTP => 20, WINCH => 28);
sub signal_set { my $mask = 0; $mask |= 1 << ($_ - 1) for @_; return pack('Q', $mask) }
# Answers with the set that was blocked before.
sub block { my ($set) = @_; my $before = pack('Q', 0); call('rt_sigprocmask', 2, $set, $before, 8); return $before }
sub signal_file { my ($set) = @_; my $fd = call('signalfd4', -1, $set, 8, 02000000 | 04000); return undef unless defined $fd; open(my $file, '+<&=', $fd) or return undef; return $file }
# struct signalfd_siginfo: number, errno, code, process; undefined where none waits.
sub next_signal { my ($file) = @_; my $size = sysread($file, my $info, 128); return ($size // 0) == 128 ? unpack('L l l L', $info) : () }

# The group that a terminal belongs to is told by TIOCGPGRP and set by TIOCSPGRP. SIGTTOU is blocked where this is called.
sub in_front { open(my $tty, '<', '/dev/tty') or return 0; my $group = pack('i', 0); return ioctl($tty, 0x540f, $group) && unpack('i', $group) == getpgrp() ? 1 : 0 }
sub take_terminal { my ($group) = @_; open(my $tty, '<', '/dev/tty') or return 0; my $packed = pack('i', $group); return ioctl($tty, 0x5410, $packed) ? 1 : 0 }

# struct msghdr of 64 bits: name, its length, pieces, their number, control, its length, flags
sub message { my ($piece, $control) = @_; return pack('Q L x4 Q Q Q Q l x4', 0, 0, pointer($$piece), 1, pointer($$control), length $$control, 0) }
# One file goes with the text. Answers with how much of it went.
sub send_file {
  my ($socket, $text, $file, $flags) = @_;
  my $control = pack('Q l l l x4', 20, 1, 1, fileno $file); # struct cmsghdr: length, SOL_SOCKET, SCM_RIGHTS
  my $piece = pack('Q Q', pointer($text), length $text);
  my $message = message(\$piece, \$control);
  return call('sendmsg', fileno $socket, $message, 0x4000 | ($flags // 0)); # MSG_NOSIGNAL
}
# Answers with text and a file, if one came; undefined with $! where there is none, an empty text at the end. All that came with it and is more is
# closed; where the kernel had more than fits, or no descriptor for it, it is the end too, and so is any file where none is wanted.
sub receive_files {
  my ($socket, $size, $none) = @_;
  my ($text, $control) = ('', '');
  vec($text, $size - 1, 8) = 0;
  vec($control, 23, 8) = 0 unless $none;
  my $piece = pack('Q Q', pointer($text), $size);
  my $message = message(\$piece, \$control);
  my $got = call('recvmsg', fileno $socket, $message, 0x40000000 | 0x40); # MSG_CMSG_CLOEXEC, MSG_DONTWAIT
  return () unless defined $got;
  my @files;
  # As struct msghdr has it afterwards: bytes of control, and flags.
  my (undef, undef, undef, undef, undef, $used, $flags) = unpack('Q L x4 Q Q Q Q l', $message);
  if (($used // 0) >= 20) {
    my ($length, $level, $type) = unpack('Q l l', $control);
    my @numbers = $level == 1 && $type == 1 ? unpack('l*', substr($control, 16, $length - 16)) : ();
    my $number = shift @numbers;
    call('close', $_) for @numbers;
    if (defined $number) { if (open(my $file, '+<&=', $number)) { push @files, $file } else { call('close', $number) } }
  }
  return ('') if $flags & 8; # MSG_CTRUNC
  return (substr($text, 0, $got), @files);
}
`;
