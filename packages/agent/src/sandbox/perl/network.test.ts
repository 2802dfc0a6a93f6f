/** Sockets as the supervisor makes them for the agent. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { NETWORK } from './network.ts';
import { SYSTEM } from './system.ts';

const PROGRAM = String.raw`${SYSTEM}
sub refuse { die "@_" }
${NETWORK}
my $port = 0;
for my $kind (qw(tcp-listen tcp udp udp-to)) {
  # Where somebody listens on 127.0.0.1, of the agent's side, and not by the address that a device is bound for.
  my @place = $kind eq 'tcp' ? ('0.0.0.0', $port) : $kind eq 'udp-to' ? ('192.0.2.1', 9) : ('127.0.0.1', 0);
  my $socket = make_socket({}, 'agent', $kind, @place) or die "$kind: $!";
  print "$kind ", fcntl($socket, 3, 0) & 04000 ? 'goes on' : 'waits', "\n"; # F_GETFL, O_NONBLOCK
  if ($kind eq 'tcp-listen') { $port = (Socket::unpack_sockaddr_in(getsockname $socket))[0]; our $kept = $socket }
}
`;

test('a call has its port chosen by where it goes, so that one that was used may go elsewhere, and urgent bytes stay in place both ways', () => {
  const program = `${SYSTEM}
sub refuse { die "@_" }
${NETWORK}
my $server = make_socket({}, 'agent', 'tcp-listen', '0.0.0.0', 0) or die $!;
my ($port) = Socket::unpack_sockaddr_in(getsockname $server);
my $call = make_socket({}, 'agent', 'tcp', '0.0.0.0', $port, '127.93.4.5') or die $!;
my ($own, $address) = Socket::unpack_sockaddr_in(getsockname $call);
print Socket::inet_ntoa($address), $own > 0 ? '' : ' nowhere', unpack('i', getsockopt($call, 0, 24)) ? ' by connect' : ' by bind';
my $waits = '';
vec($waits, fileno $server, 1) = 1;
select($waits, undef, undef, 20);
accept(my $called, $server) or die $!;
print join ' ', '', map { unpack('i', getsockopt($_, SOL_SOCKET, Socket::SO_OOBINLINE)) } $call, $called;
`;
  const said = execFileSync('perl', ['-e', program, process.arch], { encoding: 'latin1' });
  expect(said).toBe('127.93.4.5 by connect 1 1');
});

test('what takes datagrams has the room for a burst that the agent asks for outside', async () => {
  const program = String.raw`${SYSTEM}
sub refuse { die "@_" }
${NETWORK}
for my $kind (qw(udp udp-to)) {
  my $socket = make_socket({}, 'agent', $kind, $kind eq 'udp' ? ('127.0.0.1', 0) : ('192.0.2.1', 9)) or die "$kind: $!";
  print unpack('i', getsockopt($socket, SOL_SOCKET, SO_RCVBUF)), "\n";
}
`;
  const outside = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  outside.bind(0, '127.0.0.1');
  await once(outside, 'listening');
  const room = outside.getRecvBufferSize();
  outside.close();
  const said = execFileSync('perl', ['-e', program, process.arch], { encoding: 'latin1' });
  expect(said).toBe(`${room}\n${room}\n`);
});

test('no socket of any kind waits', () => {
  const said = execFileSync('perl', ['-e', PROGRAM, process.arch], { encoding: 'latin1' });
  expect(said).toBe('tcp-listen goes on\ntcp goes on\nudp goes on\nudp-to goes on\n');
});
