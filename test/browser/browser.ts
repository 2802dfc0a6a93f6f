/** A real browser, headless, on pages of this machine. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

/** WEFT_CHROMIUM, or where systems put it. */
const PLACES = [
  process.env.WEFT_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const executable = PLACES.find((place) => place !== undefined && existsSync(place));

/** Why there is no browser here, or undefined when there is. */
export const browserMissing: string | undefined =
  executable === undefined ? 'Chromium is not installed; WEFT_CHROMIUM may name one' : undefined;

/** It asks nobody but the page: no updates, no lookups of its maker's hosts. */
const ARGUMENTS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface OpenOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** One browser of a test file. */
export class TestBrowser implements AsyncDisposable {
  readonly #directory: string;
  readonly #context: BrowserContext;
  /** What pages complained of: uncaught errors, console errors, policy violations. Tests expect none. */
  readonly limitedLog: string[] = [];

  private constructor(directory: string, context: BrowserContext) {
    this.#directory = directory;
    this.#context = context;
  }

  static async launch({ width = 1280, height = 800, dark = false }: OpenOptions = {}): Promise<TestBrowser> {
    if (executable === undefined) throw new Error('no browser');
    const directory = mkdtempSync(join(tmpdir(), 'weft-browser-'));
    const context = await chromium.launchPersistentContext(directory, {
      executablePath: executable,
      headless: true,
      // As root, which CI often is, Chromium has no sandbox; the pages are our own.
      chromiumSandbox: process.getuid?.() !== 0,
      args: ARGUMENTS,
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
    });
    return new TestBrowser(directory, context);
  }

  async page(url: string): Promise<Page> {
    const page = await this.#context.newPage();
    page.on('pageerror', (error) => this.limitedLog.push(`uncaught: ${error.message}`));
    page.on('console', (message) => {
      // An answer of 401 is how the page learns that nobody is signed in; tests ask for what is refused, and stop control.
      const expected = /status of 4(?:01|03|15|29)|net::ERR_/.test(message.text());
      if (message.type() === 'error' && !expected) this.limitedLog.push(`${message.text()} ${message.location().url}`);
    });
    await page.goto(url);
    return page;
  }

  /** Nobody is signed in any more, as in a browser that was never here. */
  async forget(): Promise<void> {
    await this.#context.clearCookies();
  }

  /** Cookies that were kept from before. */
  async remember(cookies: Awaited<ReturnType<BrowserContext['cookies']>>): Promise<void> {
    await this.#context.addCookies(cookies);
  }

  async cookies(): ReturnType<BrowserContext['cookies']> {
    return await this.#context.cookies();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** What axe finds against WCAG 2.2 AA and its best practices, one line a finding. */
export async function axe(page: Page): Promise<string[]> {
  // Put there by the debugger's own channel, which the page's content security policy does not bind.
  await page.evaluate(axeSource);
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResult;
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id}: ${help}: ${html.slice(0, 200)}: ${failureSummary}`),
  );
}
