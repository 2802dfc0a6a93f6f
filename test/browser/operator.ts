/** What an operator does on the page, by the names that the page gives things. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import type { Control } from '../harness/weft.ts';

/** Text of admin.token or read.token. */
export function tokenOf(control: Control, role: 'admin' | 'read'): string {
  return readFileSync(join(control.dataDir, `${role}.token`), 'utf8').trim();
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** Goes to a view by its address, as a bookmark does. */
export async function open(page: Page, view: string): Promise<void> {
  const { origin } = new URL(page.url());
  await page.goto(`${origin}/#/${view}`);
  await page.locator('main h1').waitFor();
}

/** How much wider the page is than its window; what is wide scrolls in a box of its own. */
export async function overflow(page: Page): Promise<number> {
  return (await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')) as number;
}
