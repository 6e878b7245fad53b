import { statSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type { Batch, BatchNews, Job } from '../../examples/document-indexing/protocol.js';
import { animationOf } from '../support/animation.js';
import { launchBrowser, memoryOf, noBrowser, WatchedPage } from '../support/browser.js';
import { FakeLiveServer } from '../support/fake-live-server.js';
import { jobOf, shows } from '../support/live-page.js';
import { LiveServer, scratch } from '../support/live-server.js';
import { root } from '../support/project.js';
import { testUnless } from '../support/skips.js';

jest.setTimeout(300_000);

const data = scratch();
let browser: Browser;

beforeAll(async () => {
  if (noBrowser === undefined) browser = await launchBrowser();
});
afterAll(async () => {
  if (noBrowser === undefined) await browser.close();
});

testUnless(noBrowser)('the page holds as much after 100,000 chunks in 100 jobs as after 50,000', async () => {
  await using fake = new FakeLiveServer();
  const { page, complaints } = await WatchedPage.open(browser, await fake.start());
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByLabel('Search what is indexed').fill('words');
  await feed(page, fake, 0, 50);
  const half = await memoryOf(page);
  await feed(page, fake, 50, 100);
  const end = await memoryOf(page);
  // One small object kept for each batch would be 200,000 bytes, one node 2,050. The engine's own code is the rest.
  expect(end.bytes - half.bytes).toBeLessThan(150_000);
  expect(end.nodes - half.nodes).toBeLessThan(1_000);
  expect(end.listeners).toBe(half.listeners);
  expect(await jobOf(page, 'folder 99').locator('.swatch').getAttribute('class')).toMatch(/colour-0/);
  expect(complaints).toEqual([]);
  await page.context().close();
});

if (process.env['UPDATE_SCREENSHOT'] === '1') test('takes the picture for the README', () => takePicture());

/** Frames of the animation, and milliseconds between them. */
const FRAMES = 40;
const FRAME_EVERY = 150;

/** A still picture and a short animation: two users at work, and eight who join them. */
async function takePicture(): Promise<void> {
  // Copied, so that the picture shows no path of this machine.
  const documents = join(data, 'documents');
  const isDocument = (path: string): boolean => path.endsWith('.md') || statSync(path).isDirectory();
  for (const name of ['zod', 'fastify']) {
    await cp(join(root, 'node_modules', name), join(documents, name), { recursive: true, filter: isDocument });
  }
  const server = await LiveServer.start(['--no-index', '--root', documents, '--data', data]);
  try {
    // As wide as a README is shown.
    const viewport = { width: 840, height: 760 };
    const { page } = await WatchedPage.open(browser, `${server.address}/?user=ann`, { viewport });
    await page.getByText('Live', { exact: true }).waitFor();
    await server.index('ann', join(documents, 'zod'));
    await server.index('bob', join(documents, 'fastify'));
    await shows(page.getByRole('heading', { level: 1 }), /[1-9]\d batches/);
    const stage = (await page.locator('.hero').boundingBox()) ?? viewport;
    const clip = { x: 0, y: 0, width: viewport.width, height: stage.height };
    const frames: Buffer[] = [];
    for (let frame = 0; frame < FRAMES; frame += 1) {
      if (frame === 4) await page.getByRole('button', { name: 'Set 8 simulated users to work' }).click();
      frames.push(await page.screenshot({ clip }));
      await page.waitForTimeout(FRAME_EVERY);
    }
    await mkdir(join(root, 'docs'), { recursive: true });
    await writeFile(join(root, 'docs', 'page.gif'), animationOf(frames, FRAME_EVERY));
    await page.setViewportSize({ width: 1120, height: 700 });
    await page.getByLabel('Search what is indexed').fill('retry after failure');
    await page.getByRole('list', { name: 'Results' }).waitFor();
    await page.screenshot({ path: join(root, 'examples/document-indexing/screenshot.png'), fullPage: true });
  } finally {
    await server.end();
  }
}

/** Jobs of 1,000 chunks each, one after the other. */
async function feed(page: Page, server: FakeLiveServer, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number += 1) {
    for (let stored = 0; stored <= 1_000; stored += 25) {
      server.hits = Array.from({ length: 20 }, (_, i) => ({
        path: `/documents/${i}.md`,
        document: `/documents/${i}.md`,
        position: 0,
        heading: 'Words',
        excerpt: `words ${number}, ${stored}`,
        score: 1,
        job: String(number),
      }));
      await server.send('batch', newsOf(number, stored));
      await server.send('job', jobAt(number, stored));
    }
  }
  const batches = (to * 41).toLocaleString('en');
  await shows(page.getByRole('heading', { level: 1 }), `${batches} batches`);
}

function newsOf(number: number, stored: number): BatchNews {
  const batch = batchOf(number, stored);
  const [requests, batches] = [batch.id * 30 + 30, batch.id + 1];
  return {
    totals: { requests, batches, users: number + 1, milliseconds: 1, rows: requests, inserts: 1 },
    batches: [batch],
  };
}

function batchOf(number: number, stored: number): Batch {
  const parts = [
    { job: String(number), user: 'ann', colour: 0, count: 25 },
    { job: `of somebody else, ${number}`, user: `user ${number}`, colour: 1 + (number % 11), count: 5 },
  ];
  const [id, at] = [number * 41 + stored / 25, number * 1e5 + stored];
  return { id, at, reason: id % 2 === 0 ? 'size' : 'age', size: 30, capacity: 32, milliseconds: 1, parts };
}

function jobAt(number: number, stored: number): Job {
  return {
    id: String(number),
    user: 'ann',
    name: `folder ${number}`,
    state: stored === 1_000 ? 'done' : 'running',
    files: { done: stored / 10, failed: 20, total: 100 },
    chunks: { read: stored, embedded: stored, stored, refused: 0, total: 1_000 },
    batches: stored / 25,
    meanFill: stored / 1_000,
    chunksPerSecond: stored,
    latency: { p50: stored / 7, p95: stored / 6, p99: stored / 5 },
    tokens: stored * 100,
    cost: stored / 1e6,
    coalescing: { strangersShare: stored / 2_000 },
    startedAt: number,
    endedAt: number + 1_000,
    problems: Array.from({ length: 20 }, (_, i) => ({ path: `${i}.md`, message: `not UTF-8 at ${stored}` })),
  };
}
