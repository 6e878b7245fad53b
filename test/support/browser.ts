import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, CDPSession, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { root } from './project.js';

/** Where Debian puts it; `CHROMIUM` names another one. */
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Why the tests in a browser cannot run here, if so. */
export const noBrowser = existsSync(executablePath) ? undefined : `there is no ${executablePath}`;

export function launchBrowser(): Promise<Browser> {
  const quiet = ['background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`);
  // As root, as in a container, there is no sandbox; and a test needs no graphics card.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', ...quiet];
  return chromium.launch({ executablePath, args });
}

/** The machine may be busy with something else. */
const PATIENCE = 90_000;

/** A page with what was wrong in it: messages of the console, errors and requests that failed. */
export class WatchedPage {
  readonly complaints: string[] = [];
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('requestfailed', (request) => {
      const reason = request.failure()?.errorText ?? '';
      // What the page itself gives up: an event stream it leaves, a search overtaken by the next.
      if (reason !== 'net::ERR_ABORTED') this.complaints.push(`${request.url()}: ${reason}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) this.complaints.push(`${response.url()}: ${response.status()}`);
    });
  }

  /** Each has a context, and so a storage, of its own. */
  static async open(browser: Browser, url: string, options?: BrowserContextOptions): Promise<WatchedPage> {
    return WatchedPage.openTab(await browser.newContext(options), url);
  }

  static async openTab(context: BrowserContext, url: string): Promise<WatchedPage> {
    const watched = new WatchedPage(await context.newPage());
    watched.page.setDefaultTimeout(PATIENCE);
    await watched.page.goto(url);
    return watched;
  }
}

interface AccessibilityNode {
  ignored: boolean;
  role?: { value: string };
  name?: { value: string };
}

const CONTROLS = [
  'slider',
  'button',
  'textbox',
  'searchbox',
  'combobox',
  'radio',
  'progressbar',
  'link',
  'list',
  'table',
  'img',
];

/** The controls, as a screen reader announces them: `role name`. */
export async function controlsOf(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as { nodes: AccessibilityNode[] };
  await session.detach();
  return nodes
    .filter(({ ignored, role }) => !ignored && CONTROLS.includes(role?.value ?? ''))
    .map(({ role, name }) => `${role?.value ?? ''} ${name?.value ?? ''}`);
}

/** What the page holds after everything that could be collected was. */
export async function memoryOf(page: Page): Promise<{ bytes: number; nodes: number; listeners: number }> {
  const session: CDPSession = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
  await session.detach();
  return { bytes: usedSize, nodes, listeners: jsEventListeners };
}

/** Texts of less than 4.5 to 1 against what is behind them (WCAG AA), as `ratio text`. */
export function lowContrast(page: Page): Promise<string[]> {
  return page.evaluate(LOW_CONTRAST);
}

const LOW_CONTRAST = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const pixel = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = pixel(colour).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return pixel(backgroundColor)[3] === 255 || !element.parentElement ? backgroundColor : behind(element.parentElement);
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && element.closest('svg, template') === null)
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .map((element) => {
      const [low, high] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => a - b);
      return [(high + 0.05) / (low + 0.05), element.textContent];
    })
    .filter(([ratio]) => ratio < 4.5)
    .map(([ratio, text]) => ratio.toFixed(2) + ' ' + text.trim());
})()`;

interface Violation {
  id: string;
  nodes: { target: unknown[]; failureSummary?: string }[];
}

/** What axe finds wrong, as `rule: where`. */
export async function violationsOf(page: Page): Promise<string[]> {
  // By the debugger, which the page's Content-Security-Policy does not concern.
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const violations = await page.evaluate<Violation[]>(`axe.run().then(({ violations }) => violations)`);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
}

const screenshots = join(root, '.data', 'screenshots');

/** An artefact to be looked at: `.data` is in no commit. */
export async function capture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}
