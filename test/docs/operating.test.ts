import { expect, test } from 'vitest';
import { codes, read, sources, tableRows } from './sources.ts';

const document = read('docs/OPERATING.md');

test('OPERATING.md has each problem of control, and what to do', () => {
  const disk = sources().find(({ path }) => path === 'packages/control/src/store/disk-watch.ts')?.text ?? '';
  const [, list = ''] = /DISK_PROBLEMS = \[([^\]]+)\]/.exec(disk) ?? [];
  const own = Array.from(list.matchAll(/'([a-z-]+)'/g), ([, code]) => code);
  expect(own.length).toBeGreaterThan(1);
  const rows = tableRows(document, '## Problems');
  expect(rows.map(([code]) => codes(code)[0])).toEqual([...own, 'older-data']);
  for (const [code, means, todo] of rows) expect([code, means !== '', todo !== '']).toEqual([code, true, true]);
});

test('every problem of an agent that LOGS.md tells has a remedy', () => {
  for (const [code, means, todo] of tableRows(read('docs/LOGS.md'), '## Problems'))
    expect([code, means !== '', todo !== '']).toEqual([code, true, true]);
});

test('what OPERATING.md refers to is there', () => {
  const links = Array.from(document.matchAll(/\]\(([^)#]*)#?([^)]*)\)/g), ([, file = '', anchor = '']) => ({
    file,
    anchor,
  }));
  expect(links.length).toBeGreaterThan(5);
  for (const { file, anchor } of links) {
    const headings = Array.from(
      (file === '' ? document : read(`docs/${file}`)).matchAll(/^#+ (.+)$/gm),
      ([, heading = '']) =>
        heading
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
    );
    if (anchor !== '') expect(headings).toContain(anchor);
  }
});
