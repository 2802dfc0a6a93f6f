import { spawnSync } from 'node:child_process';
import { parseRange } from '@weft/proto';
import { expect, test } from 'vitest';
import type { Place } from '../words/place.ts';
import { type GuardWish, isOfAnother, type LoadedTable, loadOf, REMOVAL, readListing, stateOf } from './ruleset.ts';

const range = parseRange('100.80.0.0/12') ?? { base: 0, size: 0 };
const place = (address: string, port: number, protocol: Place['protocol'] = 'tcp'): Place => ({
  protocol,
  address,
  port,
});
const WISH: GuardWish = {
  places: [place('::', 6379), place('0.0.0.0', 6379), place('10.0.0.5', 7001), place('2001:db8::5', 8125, 'udp')],
  range,
  users: [0, 998],
  directory: '/var/lib/weft',
};

test('a load takes the place of what was there, and holds each place in the set of its form', () => {
  const text = loadOf(WISH);
  expect(text.startsWith(REMOVAL)).toBe(true);
  expect(
    Array.from(text.matchAll(/set (\w+) \{\n\s+type [^\n]+\n(?:\s+elements = (.*)\n)?/g), ([, name, all]) => [
      name,
      all,
    ]),
  ).toEqual([
    ['ports4', '{ tcp . 6379 }'],
    ['ports6', '{ tcp . 6379 }'],
    ['places4', '{ 10.0.0.5 . tcp . 7001 }'],
    ['places6', '{ 2001:db8::5 . udp . 8125 }'],
  ]);
});

test('the same places in another order are the same table', () => {
  expect(loadOf({ ...WISH, places: WISH.places.toReversed() })).toBe(loadOf(WISH));
});

const mark = /comment "(.*)"/.exec(loadOf(WISH))?.[1] ?? '';
const whole: LoadedTable = { mark, elements: 4, rules: 11, dropped: 0 };

test.each<[string, LoadedTable | undefined, string]>([
  ['as wished', whole, 'whole'],
  ['gone', undefined, 'absent'],
  ['with an element taken out by hand', { ...whole, elements: 3 }, 'changed'],
  ['with a chain that was flushed', { ...whole, rules: 4 }, 'changed'],
  ['without a mark', { ...whole, mark: '' }, 'changed'],
  ['of other places', { ...whole, mark: mark.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }, 'changed'],
  [
    'of another agent',
    { ...whole, mark: mark.replace(/guard ./, 'guard x').replace('x', mark[11] === '0' ? '1' : '0') },
    'other',
  ],
])('a table %s', (_, loaded, state) => {
  expect(stateOf(WISH, loaded)).toBe(state);
});

test("is of another agent by its directory, whatever is wished, and where none stands for anybody it is nobody else's", () => {
  expect(isOfAnother('/var/lib/weft', whole)).toBe(false);
  expect(isOfAnother('/var/lib/weft-2', whole)).toBe(true);
  expect(isOfAnother('/var/lib/weft', { mark: '' })).toBe(false);
});

const INJECTION =
  'fd00::9 . tcp . 1 } }\n}\ndelete table inet hostfw\ntable inet x { set y { type ipv6_addr; elements = { ::1';
test.each<[string, Partial<GuardWish>]>([
  ['an address with words of nft behind it', { places: [place(INJECTION, 1)] }],
  ['a name', { places: [place('redis', 1)] }],
  ['an address of a link', { places: [place('fe80::1%eth0', 1)] }],
  ['no address', { places: [place('', 1)] }],
  ['port 0', { places: [place('::', 0)] }],
  ['a port with words behind it', { places: [place('::', '1 }' as unknown as number)] }],
  ['a protocol with words behind it', { places: [place('::', 1, 'tcp }' as 'tcp')] }],
  ['a range that no prefix says', { range: { base: 0x64500000, size: 3 } }],
  ['a user that is none', { users: [-1] }],
  ['the number of nobody', { users: [2 ** 32 - 1] }],
  ['a user with words behind it', { users: ['0 accept' as unknown as number] }],
  ['a range beyond addresses', { range: { base: 2 ** 33, size: 1 } }],
  ['more places than it closes', { places: Array.from({ length: 4_097 }, () => place('::', 1)) }],
])('nothing is made of %s', (_, odd) => {
  expect(() => loadOf({ ...WISH, ...odd })).toThrow(expect.objectContaining({ code: 'guard-odd-wish' }));
});

test('only what is for this host itself is dropped, by range and by place', () => {
  const [, outside = '', closed = ''] =
    /chain outside \{([\s\S]*?)\n {2}\}[\s\S]*chain closed \{([\s\S]*?)\n {2}\}/.exec(loadOf(WISH)) ?? [];
  expect(outside).not.toContain('drop');
  expect(outside).toMatch(/fib daddr type \{[^}]*\} jump closed$/);
  expect(closed).toContain('ip daddr 100.80.0.0/12 counter drop');
  expect(closed).toContain('ip saddr 100.80.0.0/12 counter drop');
});

test('fragments of IPv6 are dropped where a place of IPv6 is closed, and nowhere else', () => {
  const fragments = 'meta nfproto ipv6 exthdr frag exists counter drop';
  expect(loadOf(WISH)).toContain(fragments);
  const four = { ...WISH, places: [place('0.0.0.0', 6379)] };
  expect(loadOf(four)).not.toContain(fragments);
  const told = /comment "(.*)"/.exec(loadOf(four))?.[1] ?? '';
  expect(stateOf(four, { mark: told, elements: 1, rules: 10, dropped: 0 })).toBe('whole');
});

const isRoot = process.getuid?.() === 0;
const nft = spawnSync('sh', ['-c', 'command -v nft unshare']).status === 0;

test.skipIf(!isRoot || !nft)(
  'the kernel takes it twice as once, tells it as it is, and has no trace of it afterwards',
  () => {
    const script = `
    nft -f - <<EOF\ntable ip other {\n chain c {\n  tcp dport 22 counter accept\n }\n}\nEOF
    nft list ruleset; echo ==; nft -f "$0"; nft -f "$0"; nft --json list table inet weft_guard; echo ==
    nft -f "$1"; nft -f "$1"; nft list ruleset`;
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '-n',
        'bash',
        '-c',
        `a=$(mktemp) b=$(mktemp); printf %s "$0" >$a; printf %s "$1" >$b; bash -c '${script}' $a $b; rm $a $b`,
        loadOf(WISH),
        REMOVAL,
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const [before = '', told = '', after] = stdout.split('==\n');
    expect(before).toContain('table ip other');
    expect(after).toBe(before);
    expect(readListing(told)).toEqual(whole);
  },
);

test('the agent of another user makes another table, and where who it is is not known all users may call from the range', () => {
  expect(stateOf({ ...WISH, users: [0, 999] }, whole)).toBe('changed');
  const { users: _, ...unknown } = WISH;
  const chain = /chain inside \{[^}]*\}/.exec(loadOf({ ...unknown, users: [] }))?.[0];
  expect(chain).not.toContain('drop');
  expect(loadOf(WISH)).toContain('meta skuid != 0 meta skuid != 998 counter drop');
});

/** Calls a program of another user from an address as a user, by TCP and UDP; `-` is what the kernel chooses. */
const CALLS = `
use IO::Socket::INET; use IO::Select;
$> = 1002;
my %server = map { my ($proto) = $_; ($proto => IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 7000, Proto => $proto, ReuseAddr => 1, $proto eq 'tcp' ? (Listen => 9) : ())) } qw(tcp udp);
$> = 0;
for (@ARGV) {
  my ($uid, $from, $to) = split /,/;
  for my $proto (qw(tcp udp)) {
    $> = $uid;
    my $call = IO::Socket::INET->new(PeerAddr => $to, PeerPort => 7000, Proto => $proto, Timeout => 1, $from eq '-' ? () : (LocalAddr => $from));
    $call && $call->send('x') if $proto eq 'udp';
    $> = 0;
    my $came = $call && IO::Select->new($server{$proto})->can_read($proto eq 'udp' ? 0.2 : 1);
    if ($came) { $proto eq 'tcp' ? $server{tcp}->accept : $server{udp}->recv(my $word, 9) }
    print "$_ $proto ", ($came ? 'comes' : 'does not'), "\n";
  }
}`;

test.skipIf(!isRoot || !nft)(
  'the kernel lets nobody but the agent and root call a program from where services are, and everybody call services',
  () => {
    const [vip, other] = ['100.80.0.7', '100.80.0.9'];
    const calls = [`998,${vip},127.0.0.1`, `0,${vip},127.0.0.1`, `1001,${vip},127.0.0.1`, `1001,-,127.0.0.1`];
    // Of a service by whoever likes, from its own address, another's or the host's.
    const free = [`1001,-,${vip}`, `1001,${other},${vip}`, `1001,127.0.0.1,${vip}`];
    const script = `ip link set lo up; ip route add local 100.80.0.0/12 dev lo; perl -e "$1" "\${@:2}"; echo ==; nft -f - <<<"$0"; perl -e "$1" "\${@:2}"`;
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-n', 'bash', '-c', script, loadOf(WISH), CALLS, ...calls, ...free],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const all = [...calls, ...free].flatMap((call) => [`${call} tcp`, `${call} udp`]);
    const told = stdout.split('==\n').map((part) => part.trim().split('\n'));
    expect(told[0]).toEqual(all.map((call) => `${call} comes`));
    const shut = (call: string) => call.startsWith(`1001,${vip},127`);
    expect(told[1]).toEqual(all.map((call) => `${call} ${shut(call) ? 'does not' : 'comes'}`));
  },
);
