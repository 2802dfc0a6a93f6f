import { describe, expect, it } from 'vitest';
import { parseAuthority, parseTarget } from './fields.ts';

describe('parseAuthority', () => {
  it.each([
    ['shop.example.com', 'shop.example.com'],
    ['SHOP.Example.COM', 'shop.example.com'],
    ['shop.example.com.', 'shop.example.com'],
    ['shop.example.com:8080', 'shop.example.com'],
    ['shop.example.com.:', 'shop.example.com'],
    ['my_shop.example', 'my_shop.example'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['[::1]', '[::1]'],
    ['[2001:DB8::1]:443', '[2001:db8::1]'],
    // At each bound.
    ['shop.example:65535', 'shop.example'],
    ['a'.repeat(254), 'a'.repeat(254)],
  ])('%s is %s', (text, name) => {
    expect(parseAuthority(text)).toEqual({ name, text });
  });

  it.each([
    '',
    ':80',
    '.',
    '..',
    'shop..example',
    '.shop.example',
    'shop.example..',
    'user@shop.example',
    'user:pass@shop.example',
    'shop.example,evil.example',
    'shop.example evil.example',
    'shop.example/',
    'shop.example?x',
    'shop.example#x',
    'shop.example\\evil',
    'shop%2eexample',
    'shop.example:80:80',
    'shop.example:65536',
    'shop.example:123456',
    'shop.example:8a',
    'shop.example:-1',
    '::1',
    '[::1',
    '[::1]x',
    '[::1%25eth0]',
    '-shop.example',
    'caf\u00e9.example',
    'shop.example\u0000',
    `${'a'.repeat(260)}.example`,
    'a'.repeat(255),
  ])('%j is malformed', (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });
});

describe('parseTarget', () => {
  it.each([
    ['GET', '/a?b=c', '/a?b=c', undefined],
    ['GET', '//evil.example/a', '//evil.example/a', undefined],
    ['GET', 'http://shop.example', '/', 'shop.example'],
    ['GET', 'HTTP://Shop.example:80/a?b', '/a?b', 'shop.example'],
    ['GET', 'http://shop.example?b', '/?b', 'shop.example'],
    ['OPTIONS', '*', '*', undefined],
    ['OPTIONS', 'http://shop.example', '*', 'shop.example'],
  ])('%s %s', (method, target, path, name) => {
    const parsed = parseTarget(method, target);
    expect([parsed?.path, parsed?.authority?.name]).toEqual([path, name]);
  });

  it.each([
    ['GET', '*'],
    ['GET', ''],
    ['GET', 'a'],
    ['GET', '/a#b'],
    ['GET', 'https://shop.example/'],
    ['GET', 'ftp://shop.example/'],
    ['GET', 'http://'],
    ['GET', 'http:///a'],
    ['GET', 'http://user@shop.example/'],
    ['GET', 'shop.example:443'],
  ])('%s %j is malformed', (method, target) => {
    expect(parseTarget(method, target)).toBeUndefined();
  });
});
