/** Where a rule comes from, as `weft explain` tells it, from the file to the answer and through what else is done to a mesh. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminService, required } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { weft } from './command.ts';
import { Mesh } from './mesh.ts';

const directory = mkdtempSync(join(tmpdir(), 'weft-origins-'));
const file = join(directory, 'shop.yaml');
const RULE = '  - { name: no-admin-ui, action: deny, from: [web], to: ["rabbit:15672"] }';
const LATER = '  - { name: no-mail, action: deny, from: [web], to: [rabbit] }';
let mesh: Mesh;

/** `rules` are lines of the file, the first of them its sixth. */
function write(...rules: readonly string[]): void {
  const head = ['network: prod', 'services:', '  web: { kind: web, ports: [3000] }'];
  writeFileSync(
    file,
    [...head, '  rabbit: { kind: private, ports: [5672, 15672] }', 'policies:', ...rules, ''].join('\n'),
  );
}

const run = async (...args: readonly string[]) => {
  const { out, err, code } = await weft(mesh.environment, ...args);
  expect([err, code === 1 || code === 2 ? code : 'done']).toEqual(['', 'done']);
  return out;
};
const explained = async (port: number) =>
  JSON.parse(await run('explain', 'web', `rabbit:${port}`, '--network', 'prod', '--json')) as {
    readonly deciding_rule_origin: Record<string, unknown>;
    readonly remedy: { readonly denies: string[]; readonly denies_origins: Record<string, unknown>[] };
  };
const revisionNow = async () => required((await mesh.ask(adminService.getStatus, {})).networks[0], 'network').revision;

beforeAll(async () => {
  mesh = new Mesh();
  await mesh.startControl();
  write(RULE);
  await run('apply', '-f', file);
});
afterAll(async () => {
  await mesh.close();
  rmSync(directory, { recursive: true });
});

test('by the line of the file, who applied it, when and as which revision', async () => {
  const before = Date.now();
  const out = await run('explain', 'web', 'rabbit:15672');
  expect(out).toMatch(
    /\nwritten: shop\.yaml:6, set by admin 127\.0\.0\.1 at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d), revision 1\n/,
  );
  // Of the directories that the file is in, nothing.
  expect(out).not.toContain(directory);
  const { deciding_rule_origin: origin } = await explained(15_672);
  expect(origin).toMatchObject({ rule: 'no-admin-ui', file: 'shop.yaml', line: 6, revision: 1 });
  expect(origin.actor).toEqual({ kind: 'admin', name: '127.0.0.1' });
  expect(Math.abs(Number(origin.set_ms) - before)).toBeLessThan(60_000);
});

test('a line that moves is no change, and is told; a diff before it finds nothing, and tells nothing', async () => {
  write('  # Nobody needs it.', RULE);
  expect(await run('diff', '-f', file)).toBe('');
  expect(await explained(15_672)).toMatchObject({ deciding_rule_origin: { line: 6, revision: 1 } });
  expect(await run('apply', '-f', file)).toBe('network prod was already so: revision 1\n');
  expect(await explained(15_672)).toMatchObject({ deciding_rule_origin: { line: 7, revision: 1 } });
  expect(JSON.parse(await run('history', '--json'))).toMatchObject({ revisions: [{ revision: 1 }] });
});

test('every rule that a remedy names comes with where it is from', async () => {
  write(LATER, RULE);
  await run('apply', '-f', file);
  const { remedy, deciding_rule_origin: origin } = await explained(15_672);
  expect([origin.rule, origin.line, remedy.denies]).toEqual(['no-mail', 6, ['no-mail', 'no-admin-ui']]);
  expect(remedy.denies_origins).toMatchObject([
    { rule: 'no-mail', line: 6, revision: 2 },
    { rule: 'no-admin-ui', line: 7, revision: 1 },
  ]);
  expect(await run('explain', 'web', 'rabbit:15672')).toContain('\n  - no-admin-ui: shop.yaml:7, set by admin ');
});

test('it outlives control, and a rollback is told as what it is', async () => {
  await mesh.stopControl();
  await mesh.startControl();
  expect(await explained(5_672)).toMatchObject({ deciding_rule_origin: { file: 'shop.yaml', line: 6, revision: 2 } });
  write(RULE);
  await run('apply', '-f', file);
  await run('rollback', '2', '--yes', '--network', 'prod');
  const rolledBack = await revisionNow();
  const { entries } = JSON.parse(await run('audit', '--limit', '1', '--json'));
  expect(entries).toMatchObject([{ action: 'rollback', subject: 'revision 2', revision: rolledBack, network: 'prod' }]);
  expect(await run('audit', '--limit', '1')).toMatch(/ rollback +\d+ +revision 2: 1 change\n$/);
  expect(await explained(5_672)).toMatchObject({
    deciding_rule_origin: { file: '', line: 0, revision: rolledBack, actor: { kind: 'admin' } },
  });
  const origins = (await explained(15_672)).remedy.denies_origins;
  expect(origins.find(({ rule }) => rule === 'no-admin-ui')).toMatchObject({ line: 6, revision: 1 });
  expect(await run('explain', 'web', 'rabbit:5672')).toContain(`\nwritten: set by admin 127.0.0.1 at `);
});
