import { expect, test } from 'vitest';
import { readResolverSetup, recipeFor } from './resolver-setup.ts';

const GLIBC = 'passwd: files\nhosts: files mymachines dns # all of them\n';
const RESOLVE = 'hosts: files resolve [!UNAVAIL=return] dns\n';
const plain = 'nameserver 10.0.0.2\nsearch example.com\n';
const agent = (port: number) => ({ host: '127.0.0.1', port });

test.each([
  [
    'a file, and an agent at port 53',
    plain,
    GLIBC,
    53,
    /^put nameserver 127\.0\.0\.1 before .*\(it names 10\.0\.0\.2 now\)$/,
  ],
  ['a file, and an agent at another port', plain, GLIBC, 7453, /start it with --dns 127\.0\.0\.1:53/],
  ['no file', '', GLIBC, 53, /\(it names nobody now\)$/],
  [
    'systemd-resolved by its stub',
    'nameserver 127.0.0.53\n',
    GLIBC,
    7453,
    /DNS=127\.0\.0\.1:7453 and Domains=~internal/,
  ],
  ['systemd-resolved by its module', plain, RESOLVE, 7453, /systemctl restart systemd-resolved$/],
  ['no nameserver is asked', plain, 'hosts: files\n', 53, /line hosts: of \/etc\/nsswitch\.conf/],
  ['the agent among others', `nameserver 127.0.0.1\n${plain}`, '', 53, /^musl asks all nameservers at once/],
  ['the agent alone', 'nameserver 127.0.0.1\n', GLIBC, 53, /^see that nothing else answers for redis\.internal/],
])('%s', (_, resolvConf, nsswitch, port, recipe) => {
  const files: Readonly<Record<string, string>> = { '/etc/resolv.conf': resolvConf, '/etc/nsswitch.conf': nsswitch };
  const setup = readResolverSetup((path) => files[path] ?? '');
  expect(recipeFor(setup, agent(port), 'redis.internal')).toMatch(recipe);
});
