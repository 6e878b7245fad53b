import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import type { Batch, Job } from '../../examples/document-indexing/protocol.js';
import { controlsOf, launchBrowser, lowContrast, memoryOf, noBrowser, WatchedPage } from '../support/browser.js';
import { FakeLiveServer } from '../support/fake-live-server.js';
import { root } from '../support/project.js';
import { ask, LiveServer, scratch, writeDocuments } from '../support/live-server.js';

const KNOWN = 'The ocelot counts its spots before sunrise.';
const SCRIPT = '<script>document.title = "taken"</script><img src=x onerror="document.title = 1">';

const STORED = `
  SELECT job->>'user' AS user, job->>'name' AS name, (
    SELECT count(*) FROM job_sections JOIN document_sections ON section = document_sections.id
    WHERE job_sections.job = indexing_jobs.id
  )::integer AS stored
  FROM indexing_jobs`;

/** The card of a job. */
function jobOf(page: Page, name: string): Locator {
  const jobs = page.getByRole('list', { name: 'Your jobs' }).getByRole('listitem');
  return jobs.filter({ has: page.getByRole('heading', { name, exact: true }) });
}

async function shows(place: Locator, text: string | RegExp): Promise<void> {
  await place.filter({ hasText: text }).first().waitFor();
}

async function become(page: Page, user: string): Promise<void> {
  await page.getByLabel('You are').fill(user);
  await page.getByRole('button', { name: 'Change' }).click();
  await page.getByText(`You are ${user} now`).waitFor({ state: 'attached' });
}

async function startFolder(page: Page, folder: string): Promise<void> {
  await page.getByLabel('Folder', { exact: true }).check();
  await page.getByLabel('Folder below it').fill(folder);
  await page.getByRole('button', { name: 'Start' }).click();
}

async function startText(page: Page, name: string, text: string): Promise<void> {
  await page.getByLabel('Text', { exact: true }).first().check();
  await page.getByLabel('Name').fill(name);
  await page.getByRole('textbox', { name: 'Text', exact: true }).fill(text);
  await page.getByRole('button', { name: 'Start' }).click();
}

function storedIn(text: string): number {
  return Number(/([\d,]+)(?: of [\d,]+)? chunks? stored/.exec(text)?.[1]?.replaceAll(',', ''));
}

let tests = 0;
/** Counted, so that a skip says how much it skips. */
function test(what: string, body: () => Promise<void>, limit = 60_000): void {
  tests += 1;
  it(what, body, limit);
}

const suite = noBrowser === undefined ? describe : describe.skip;

suite('the page of the document indexing', () => {
  const documents = scratch();
  const data = scratch();
  /** Of what was started, also when the rest was not. */
  const ends: (() => Promise<unknown>)[] = [];
  let browser: Browser;
  let server: LiveServer;
  let ann: WatchedPage;
  let bob: WatchedPage;

  beforeAll(async () => {
    await writeDocuments(join(documents, 'red'), 20, 30);
    await writeDocuments(join(documents, 'blue'), 20, 20);
    await writeFile(join(documents, 'blue', '<b>latin.md'), Buffer.from('# Caf\xe9', 'latin1'));
    await writeDocuments(join(documents, 'huge'), 100, 200);
    await writeFile(join(documents, 'huge', '000.md'), `# Cats\n\n${KNOWN} Nobody knows why.\n`);
    // Small and quick inserts, so that there is a middle to look at.
    const rows = ['--batch-size', '100', '--batch-age', '100'];
    server = await LiveServer.start(['--no-index', '--root', documents, '--data', data, ...rows]);
    ends.push(() => server.end());
    browser = await launchBrowser();
    ends.push(() => browser.close());
    ann = await WatchedPage.open(browser, server.address);
    bob = await WatchedPage.open(browser, server.address, { colorScheme: 'dark' });
    await Promise.all([become(ann.page, 'ann'), become(bob.page, 'bob')]);
  }, 60_000);

  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  }, 60_000);

  test('two users at once see their own numbers and end at the exact counts', async () => {
    await Promise.all([startFolder(ann.page, 'red'), startFolder(bob.page, 'blue')]);
    const [red, blue] = [jobOf(ann.page, 'red'), jobOf(bob.page, 'blue')];
    // 600 = 20 files x 30 sections, 400 = 20 x 20; the file that is no UTF-8 has none.
    await Promise.all([shows(red, '600 of 600 chunks stored'), shows(blue, '400 of 400 chunks stored')]);
    await Promise.all([shows(red, 'Done'), shows(blue, 'Done')]);
    expect(await ann.page.getByRole('heading', { level: 3 }).allTextContents()).toEqual(['red']);
    expect(await bob.page.getByRole('heading', { level: 3 }).allTextContents()).toEqual(['blue']);

    // The batches are everybody's.
    const counts = (page: Page): Promise<string[]> => page.locator('#by-job td:nth-child(2)').allTextContents();
    expect((await counts(ann.page)).sort()).toEqual(['400', '600']);
    expect((await counts(bob.page)).sort()).toEqual(['400', '600']);
    await shows(
      ann.page.getByRole('table', { name: 'Whose chunks' }),
      /red.*another user’s job|another user’s job.*red/,
    );

    expect(await blue.getByText('1 problem').count()).toBe(1);
    await blue.getByText('1 problem').click();
    await shows(blue, '<b>latin.md not UTF-8');
  });

  test('shows text as text, whatever it holds', async () => {
    await startText(bob.page, `${SCRIPT}.md`, `# ${SCRIPT}\n\nThe marmot ${SCRIPT} whistles.`);
    await shows(jobOf(bob.page, `${SCRIPT}.md`), '1 of 1 chunk stored');
    await bob.page.getByLabel('Search what is indexed').fill('marmot whistles <script>');
    const hit = bob.page.getByRole('list', { name: 'Results' }).getByRole('listitem').first();
    await shows(hit, SCRIPT);
    expect(await hit.locator('mark').allTextContents()).toEqual(expect.arrayContaining(['marmot', 'whistles']));
    expect(await bob.page.locator('main :is(script, img)').count()).toBe(0);
  });

  test('takes files that are chosen and files that are dropped, and refuses what is not allowed', async () => {
    const { page } = bob;
    await page.getByLabel('Files', { exact: true }).check();
    const files = ['one', 'two'].map((name) => {
      return {
        name: `${name}.md`,
        mimeType: 'text/markdown',
        buffer: Buffer.from(`# ${name}\n\ntext\n\n# More\n\ntext`),
      };
    });
    await page.getByLabel('Documents of this computer').setInputFiles(files);
    await page.getByRole('button', { name: 'Start' }).click();
    await shows(jobOf(page, 'one.md and 1 more'), '4 of 4 chunks stored');

    // `false`: the browser is not to open the file by itself.
    expect(await page.evaluate(drag('dragenter'))).toBe(true);
    await page.getByText('Drop the documents to index them').waitFor();
    expect(await page.evaluate(drag('dragover'))).toBe(false);
    expect(await page.evaluate(drag('drop'))).toBe(false);
    await shows(jobOf(page, 'dropped.md'), '1 of 1 chunk stored');
    expect(await page.getByText('Drop the documents to index them').isVisible()).toBe(false);

    await startFolder(page, '../elsewhere');
    await shows(page.getByRole('alert'), 'Only folders below');
    expect(bob.complaints.splice(0)).toEqual([expect.stringContaining('403'), expect.stringContaining('403')]);
  });

  test('a job goes on while the page is loaded again, is found by a search, and stops when it is cancelled', async () => {
    const { page } = ann;
    const results = page.getByRole('list', { name: 'Results' }).getByRole('listitem');
    await page.getByLabel('Search what is indexed').fill(KNOWN);
    await page
      .getByRole('search')
      .getByText(/Nothing found|results?\./)
      .waitFor();
    expect(await results.filter({ hasText: KNOWN }).count()).toBe(0);

    await startFolder(page, 'huge');
    const huge = jobOf(page, 'huge');
    // As it comes in: the question is not asked again by hand.
    await shows(results.first(), KNOWN);
    await shows(huge, 'Reading');
    const before = storedIn(await huge.innerText());
    await page.reload();
    await shows(huge, 'Reading');
    await shows(results.first(), KNOWN);
    expect(await page.getByLabel('You are').inputValue()).toBe('ann');
    const after = storedIn(await huge.innerText());
    expect(after).toBeGreaterThanOrEqual(before);
    const unchanged = new RegExp(`^${after.toLocaleString('en')} chunk`);
    await huge.locator('[data-field=count]').filter({ hasNotText: unchanged }).waitFor();

    await huge.getByRole('button', { name: 'Cancel huge' }).click();
    await shows(huge, 'Cancelled');
    expect(await huge.getByRole('button').count()).toBe(0);
    // Of a job that is over nothing more is sent: it is among those of the beginning.
    await page.reload();
    await shows(huge, 'Cancelled');
    const stored = storedIn(await huge.innerText());
    expect(stored).toBeGreaterThan(after);
    expect(stored).toBeLessThan(19_801);
  });

  test('every control has a name, every text its contrast, and nothing is wider than the screen', async () => {
    const { page } = bob;
    for (const kind of ['Folder', 'Files', 'Text']) {
      await page.getByLabel(kind, { exact: true }).first().check();
      const controls = await controlsOf(page);
      expect(controls).toEqual(
        expect.arrayContaining(['textbox You are', 'button Start', 'progressbar Progress of blue']),
      );
      expect(controls.filter((control) => control.endsWith(' '))).toEqual([]);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await lowContrast(page)).toEqual([]);
        for (const width of [320, 360, 1200]) {
          await page.setViewportSize({ width, height: 800 });
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
        }
      }
    }
  });

  test('holds as much after 100,000 chunks in 100 jobs as after 50,000', async () => {
    await using fake = new FakeLiveServer();
    const { page, complaints } = await WatchedPage.open(browser, await fake.start());
    await page.getByText('Live').waitFor();
    await page.getByLabel('Search what is indexed').fill('words');
    await feed(page, fake, 0, 50);
    const half = await memoryOf(page);
    await feed(page, fake, 50, 100);
    const end = await memoryOf(page);
    // One small object kept for each batch would be 200,000 bytes, one node 2,050. The engine's own code is the rest.
    expect(end.bytes - half.bytes).toBeLessThan(150_000);
    expect(end.nodes - half.nodes).toBeLessThan(1_000);
    expect(end.listeners).toBe(half.listeners);
    // Colours are few, and free again when their job is gone.
    expect(await jobOf(page, 'folder 99').locator('.swatch').getAttribute('class')).toMatch(/colour-\d/);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test('what it shows is what the database holds when the server has ended; nothing went wrong on the way', async () => {
    expect([...ann.complaints, ...bob.complaints]).toEqual([]);
    expect(await server.end()).toBe(130);
    await ann.page.getByText('The server does not answer').waitFor();
    const jobs = await ask<{ user: string; name: string; stored: number }>(data, STORED);
    expect(jobs.map(({ user, name }) => [user, name])).toEqual(
      expect.arrayContaining([
        ['ann', 'red'],
        ['bob', 'blue'],
        ['bob', `${SCRIPT}.md`],
        ['bob', 'one.md and 1 more'],
        ['bob', 'dropped.md'],
        ['ann', 'huge'],
      ]),
    );
    expect(jobs).toHaveLength(6);
    for (const { user, name, stored } of jobs) {
      const text = await jobOf(user === 'ann' ? ann.page : bob.page, name).innerText();
      expect([name, storedIn(text)]).toEqual([name, stored]);
    }
  });

  if (process.env['UPDATE_SCREENSHOT'] === '1')
    test('takes the picture for the README', () => takePicture(join(data, 'picture')), 300_000);
});

if (noBrowser !== undefined) console.warn(`${tests} tests of the page are skipped: ${noBrowser}.`);

/** Dispatches an event as if a document were dragged; whether the browser may do with it what it usually does. */
function drag(event: string): string {
  return `(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['# Dropped\\n\\ntext'], 'dropped.md'));
    const event = new DragEvent('${event}', { dataTransfer, bubbles: true, cancelable: true });
    return document.querySelector('main').dispatchEvent(event);
  })()`;
}

/** Two users at work on the documentation of the packages that are installed here. */
async function takePicture(data: string): Promise<void> {
  const server = await LiveServer.start(['--no-index', '--root', 'node_modules', '--data', data]);
  const browser = await launchBrowser();
  try {
    const ann = await WatchedPage.open(browser, server.address, { viewport: { width: 1200, height: 900 } });
    const bob = await WatchedPage.open(browser, server.address);
    await Promise.all([become(ann.page, 'ann'), become(bob.page, 'bob')]);
    await startFolder(ann.page, 'fastify');
    await startFolder(bob.page, '@fastify');
    await shows(jobOf(ann.page, 'fastify'), 'Done');
    await Promise.all([startFolder(ann.page, ''), startFolder(bob.page, '')]);
    await ann.page.getByLabel('Search what is indexed').fill('retry after failure');
    await shows(jobOf(ann.page, 'node_modules'), /[3-9]\d\d of \d+/);
    await ann.page.screenshot({ path: join(root, 'examples/document-indexing/screenshot.png'), fullPage: true });
  } finally {
    await browser.close();
    await server.end();
  }
}

/** Jobs of 1,000 chunks each, one after the other. */
async function feed(page: Page, server: FakeLiveServer, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number += 1) {
    for (let stored = 0; stored <= 1_000; stored += 25) {
      server.hits = Array.from({ length: 20 }, (_, i) => ({
        path: `/documents/${i}.md`,
        heading: 'Words',
        excerpt: `words ${number}, ${stored}`,
        score: 1,
        job: String(number),
      }));
      await server.send('batch', [batchOf(number, stored)]);
      await server.send('job', jobAt(number, stored));
    }
  }
  const batches = (to * 41).toLocaleString('en');
  await shows(page.locator('#coalescing dd').first(), new RegExp(`^${batches}$`));
}

function batchOf(number: number, stored: number): Batch {
  const parts = [
    { job: String(number), count: 25 },
    { job: `of somebody else, ${number}`, count: 5 },
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
    chunks: { read: stored, embedded: stored, stored, total: 1_000 },
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
