import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import { type AddressSources, tokenAddresses, toldAddresses, unsaidAddresses } from './token-addresses.ts';

const network = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  netmask: '',
  mac: '',
  cidr: null,
  internal,
  ...(address.includes(':') ? { family: 'IPv6', scopeid: 0 } : { family: 'IPv4' }),
});

const interfaces = {
  lo: [network('127.0.0.1', true)],
  eth0: [network('10.0.0.5'), network('fe80::1'), network('2001:db8::5')],
};

const base: AddressSources = {
  requested: [],
  advertise: [],
  listen: { host: '0.0.0.0', port: 7400 },
  authority: '127.0.0.1:7400',
  interfaces,
};

test.each<[string, Partial<AddressSources>, string[]]>([
  ['the request wins', { requested: ['a:1', 'a:1', 'b:2'], advertise: ['c:3'] }, ['a:1', 'b:2']],
  ['then --advertise', { advertise: ['c:3'] }, ['c:3']],
  ['then what is listened on', { listen: { host: '::1', port: 5 } }, ['[::1]:5']],
  ['a wildcard: own addresses, and the way the caller came', {}, ['10.0.0.5:7400', '127.0.0.1:7400']],
  [
    'a name that the caller used comes first',
    { authority: 'control.example:443' },
    ['control.example:443', '10.0.0.5:7400'],
  ],
  ['a name without a port', { authority: 'control.example' }, ['control.example:7400', '10.0.0.5:7400']],
  ['both families', { listen: { host: '::', port: 1 }, authority: '[::]:1' }, ['10.0.0.5:1', '[2001:db8::5]:1']],
  ['an authority that is none', { authority: 'a b\n' }, ['10.0.0.5:7400']],
  ['a port that is none', { authority: 'control.example:0' }, ['10.0.0.5:7400']],
  [
    'at most four, by whatever name the caller came',
    { authority: 'a.example:1', interfaces: { eth0: [1, 2, 3, 4].map((n) => network(`10.0.0.${n}`)) } },
    ['a.example:1', '10.0.0.1:7400', '10.0.0.2:7400', '10.0.0.3:7400'],
  ],
  ['no network at all', { interfaces: {}, authority: '' }, ['127.0.0.1:7400']],
  [
    'at most four, the loopback among them',
    { interfaces: { eth0: [1, 2, 3, 4, 5].map((n) => network(`10.0.0.${n}`)) } },
    ['10.0.0.1:7400', '10.0.0.2:7400', '10.0.0.3:7400', '127.0.0.1:7400'],
  ],
])('%s', (_name, sources, expected) => {
  expect(tokenAddresses({ ...base, ...sources })).toEqual(expected);
});

test.each<[string, Pick<AddressSources, 'advertise' | 'listen'>, string[]]>([
  ['--advertise', { ...base, advertise: ['c:3', 'd:4', 'c:3'] }, ['c:3', 'd:4']],
  ['the address listened on', { ...base, listen: { host: '2001:db8::5', port: 5 } }, ['[2001:db8::5]:5']],
  ['nothing that only this host can reach', { ...base, listen: { host: '127.0.0.1', port: 5 } }, []],
  ['no guess', base, []],
  ['no port that is not known', { ...base, listen: { host: '10.0.0.5', port: 0 } }, []],
])('agents are told %s', (_, sources, expected) => {
  expect(toldAddresses(sources)).toEqual(expected);
});

test.each<[string, Partial<AddressSources>, ReturnType<typeof unsaidAddresses>]>([
  [
    'loopback is listened on',
    { listen: { host: '127.0.0.1', port: 17_400 } },
    {
      addresses: ['127.0.0.1:17400'],
      words: expect.stringContaining('--listen 0.0.0.0:17400 --advertise'),
      grave: false,
    },
  ],
  [
    'all is listened on, and loopback alone said',
    { advertise: ['localhost:7400', '127.0.0.1:7400'] },
    {
      addresses: ['localhost:7400', '127.0.0.1:7400'],
      words: expect.stringContaining('start it with --advertise HOST:PORT'),
      grave: true,
    },
  ],
  [
    'all is listened on, by a host without a network',
    { interfaces: {} },
    { addresses: ['127.0.0.1:7400'], words: expect.stringContaining("this host's own agents alone"), grave: true },
  ],
  [
    'all is listened on, and nothing said',
    {},
    { addresses: ['10.0.0.5:7400'], words: expect.stringContaining('this host has these addresses'), grave: false },
  ],
  ['one address is listened on', { listen: { host: '10.0.0.5', port: 7400 } }, undefined],
  ['it is said', { advertise: ['c:3'] }, undefined],
])('what tokens lead to is told where %s', (_, sources, expected) => {
  expect(unsaidAddresses({ ...base, ...sources })).toEqual(expected);
});
