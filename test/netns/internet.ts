/** What an internet of the test's own serves. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from '../harness/process.ts';

/** Below the folder: something large, a repository of one package, a registry of another, and a certificate for the address. */
export async function serveInternet(dir: string, address: string): Promise<void> {
  const files = join(dir, 'files');
  mkdirSync(join(files, 'debian'), { recursive: true });
  mkdirSync(join(files, 'npm', '-'), { recursive: true });
  writeFileSync(join(files, 'large'), Buffer.alloc(8 << 20, 'weft '));
  const tree = join(dir, 'sample');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  const words =
    'Package: weft-sample\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: a sample\n';
  writeFileSync(join(tree, 'DEBIAN', 'control'), words);
  const deb = join(files, 'debian', 'weft-sample_1.0_all.deb');
  await check(['dpkg-deb', '--build', '--root-owner-group', tree, deb]);
  const bytes = readFileSync(deb);
  const sum = createHash('sha256').update(bytes).digest('hex');
  const listed = `${words}Filename: ./weft-sample_1.0_all.deb\nSize: ${bytes.length}\nSHA256: ${sum}\n`;
  writeFileSync(join(files, 'debian', 'Packages'), listed);
  const source = join(dir, 'package');
  mkdirSync(source);
  const manifest = { name: 'left-out', version: '1.0.0', main: 'index.js' };
  writeFileSync(join(source, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(source, 'index.js'), 'module.exports = 42;\n');
  const tarball = join(files, 'npm', '-', 'left-out-1.0.0.tgz');
  await check(['tar', '-C', dir, '-czf', tarball, 'package']);
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  const dist = { tarball: 'http://shop.example/npm/-/left-out-1.0.0.tgz', integrity };
  const document = { name: 'left-out', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { ...manifest, dist } } };
  writeFileSync(join(files, 'npm', 'left-out'), JSON.stringify(document));
  await check([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=shop.example', '-addext', `subjectAltName=DNS:shop.example,IP:${address}`],
    ...['-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
  ]);
  await check(['chmod', '-R', 'a+rX', dir]);
}
