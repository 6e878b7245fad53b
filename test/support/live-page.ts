import type { Browser, Locator, Page } from 'playwright-core';
import { WatchedPage } from './browser.js';
import type { LiveServer } from './live-server.js';

/** Milliseconds: ten for what is under way, and the rest for a busy machine. What hangs takes for ever. */
const END = 40_000;

/** The page of a user, connected. */
export async function pageOf(browser: Browser, user: string, server: LiveServer): Promise<WatchedPage> {
  const watched = await WatchedPage.open(browser, `${server.address}/?user=${user}`);
  await watched.page.getByText('Live', { exact: true }).waitFor();
  return watched;
}

/** The exit code of Ctrl-C, and whether it came soon. */
export async function interrupted(server: LiveServer): Promise<[code: unknown, soon: boolean]> {
  const start = performance.now();
  const code = await server.end('SIGINT');
  return [code, performance.now() - start < END];
}

/** The row of a job. */
export function jobOf(page: Page, name: string): Locator {
  const jobs = page.getByRole('list', { name: 'Your jobs' }).getByRole('listitem');
  return jobs.filter({ has: page.getByRole('heading', { name, exact: true }) });
}

/** `timeout`: milliseconds, where it may take longer than most things. */
export async function shows(place: Locator, text: string | RegExp, timeout?: number): Promise<void> {
  await place
    .filter({ hasText: text })
    .first()
    .waitFor(timeout === undefined ? {} : { timeout });
}

export async function startFolder(page: Page, folder: string): Promise<void> {
  await page.getByLabel('Folder', { exact: true }).check();
  await page.getByLabel('Folder below it').fill(folder);
  await page.getByRole('button', { name: 'Start' }).click();
}

export async function startText(page: Page, name: string, text: string): Promise<void> {
  await page.getByLabel('Text', { exact: true }).first().check();
  await page.getByLabel('Name').fill(name);
  await page.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
  await page.getByRole('button', { name: 'Start' }).click();
}

export async function upload(page: Page, files: [name: string, content: string][]): Promise<void> {
  await page.getByLabel('Files', { exact: true }).check();
  const chosen = files.map(([name, content]) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) }));
  await page.getByLabel('Documents of this computer').setInputFiles(chosen);
  await page.getByRole('button', { name: 'Start' }).click();
}

export async function search(page: Page, query: string, status: RegExp | string): Promise<Locator> {
  await page.getByLabel('Search what is indexed').fill(query);
  await page.getByRole('search').getByText(status).waitFor();
  return page.getByRole('list', { name: 'Results' }).getByRole('listitem');
}
