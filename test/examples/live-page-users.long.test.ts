import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import {
  capture,
  controlsOf,
  launchBrowser,
  lowContrast,
  noBrowser,
  violationsOf,
  WatchedPage,
} from '../support/browser.js';
import { expectSoon } from '../support/soon.js';
import { jobOf, search, shows, startFolder, startText, upload } from '../support/live-page.js';
import { portToKeep } from '../support/ports.js';
import { ask, LiveServer, scratch, writeDocuments } from '../support/live-server.js';

const KNOWN = 'The ocelot counts its spots before sunrise.';
/** A job that is at work for as long as a test may need; how many sections it has. */
const HUGE = { files: 100, sections: 1_000, all: 100_001 } as const;
/** Small and quick inserts, so that there is a middle to look at. */
const ROWS = ['--batch-size', '100', '--batch-age', '100'];
const SCRIPT = '<script>document.title = "taken"</script><img src=x onerror="document.title = 1">';

const STORED = `
  SELECT job->>'user' AS user, job->>'name' AS name, (
    SELECT count(*) FROM job_sections JOIN document_sections ON section = document_sections.id
    WHERE job_sections.job = indexing_jobs.id
  )::integer AS stored
  FROM indexing_jobs`;

function storedIn(text: string): number {
  return Number(/([\d,]+)(?: of [\d,]+)? chunks? stored/.exec(text)?.[1]?.replaceAll(',', ''));
}

/** Users of each column of the chart, from the left. */
function columnsOf(page: Page): Promise<string[][]> {
  return page.evaluate<string[][]>(`(() => {
    const columns = new Map();
    for (const { dataset, x } of document.querySelectorAll('#chart rect[data-user]')) {
      const at = x.baseVal.value;
      columns.set(at, [...(columns.get(at) ?? []), dataset.user]);
    }
    return [...columns].sort(([a], [b]) => a - b).map(([, users]) => users);
  })()`);
}

let tests = 0;
/** Counted, so that a skip says how much it skips. */
function test(what: string, body: () => Promise<void>, limit = 240_000): void {
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
  let port: string;
  let ann: WatchedPage;
  let bob: WatchedPage;

  beforeAll(async () => {
    await writeDocuments(join(documents, 'red'), 20, 30);
    await writeDocuments(join(documents, 'blue'), 20, 20);
    await writeFile(join(documents, 'blue', '<b>latin.md'), Buffer.from('# Caf\xe9', 'latin1'));
    await writeDocuments(join(documents, 'huge'), HUGE.files, HUGE.sections);
    await writeFile(join(documents, 'huge', '000.md'), `# Cats\n\n${KNOWN} Nobody knows why.\n`);
    // It is killed, and the next one has to be where the page looks for it.
    port = String(await portToKeep());
    server = await LiveServer.start(['--no-index', '--root', documents, '--data', data, ...ROWS, '--port', port]);
    ends.push(() => server.end());
    browser = await launchBrowser();
    ends.push(() => browser.close());
    const [anns, bobs] = ['ann', 'bob'].map((user) => `${server.address}/?user=${user}`);
    ann = await WatchedPage.open(browser, anns ?? '', { viewport: { width: 1280, height: 900 } });
    bob = await WatchedPage.open(browser, bobs ?? '', { colorScheme: 'dark' });
    await Promise.all([
      ann.page.getByText('Live', { exact: true }).waitFor(),
      bob.page.getByText('Live', { exact: true }).waitFor(),
    ]);
  }, 240_000);

  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  }, 240_000);

  test('a first visit shows no row of zeros, and says what to do', async () => {
    const text = await ann.page.locator('body').innerText();
    expect(text).toContain('Many requests → few batches');
    expect(text).toContain('No batch yet: set the simulated users to work');
    expect(text).not.toMatch(/\b0(\.0)?\b/);
    await capture(ann.page, 'first-visit');
  });

  test('two users at once: their chunks meet in batches, and each ends at the exact count', async () => {
    // Neither is over before the other begins, however busy the machine is.
    server.pause();
    const asked = [ann, bob].map(({ page }) => page.waitForRequest('**/api/jobs'));
    await Promise.all([startFolder(ann.page, 'red'), startFolder(bob.page, 'blue'), ...asked]);
    await server.resume();
    const [red, blue] = [jobOf(ann.page, 'red'), jobOf(bob.page, 'blue')];
    // 600 = 20 files x 30 sections, 400 = 20 x 20; the file that is no UTF-8 has none.
    await Promise.all([shows(red, '600 of 600 chunks stored'), shows(blue, '400 of 400 chunks stored')]);
    await Promise.all([shows(red, 'Done'), shows(blue, 'Done with problems')]);
    expect(await ann.page.locator('#jobs h3').allTextContents()).toEqual(['red']);
    expect(await bob.page.locator('#jobs h3').allTextContents()).toEqual(['blue']);
    // Without a click: why it is amber is what one wants to know.
    await shows(blue, '<b>latin.md: not UTF-8');

    // The batches are those of all users.
    for (const { page } of [ann, bob]) {
      await page.getByRole('heading', { name: /^1,000 requests → \d+ batches, \d+ at a time, 2 users$/ }).waitFor();
      expect((await page.getByRole('list', { name: 'Users in the chart' }).innerText()).split('\n').sort()).toEqual([
        'ann 600',
        'bob 400',
      ]);
      await shows(page.getByText(/^1,000 calls?, /), '50 s');
    }
    expect((await columnsOf(ann.page)).filter((users) => users.length === 2).length).toBeGreaterThan(5);
    await capture(bob.page, 'two-users-dark');
  });

  test('eight simulated users share batches, in every tab, and store nothing', async () => {
    const { page } = ann;
    await page.getByRole('button', { name: 'Set 8 simulated users to work' }).click();
    await expectSoon(async () => (await page.locator('#legend li').count()) === 10);
    await shows(page.getByRole('heading', { level: 1 }), '10 users');
    await expectSoon(async () => (await columnsOf(page)).filter((users) => users.length >= 4).length > 10);
    await bob.page.getByRole('button', { name: 'Send them home' }).waitFor();
    await capture(page, 'simulated-users');
    await bob.page.getByRole('button', { name: 'Send them home' }).click();
    await page.getByRole('button', { name: 'Set 8 simulated users to work' }).waitFor();
    expect((await server.search('notes invoice meeting garden')).length).toBe(0);
    // No batch is left that would come during the next test, which counts on the newest one.
    await expectSoon(async () => {
      const before = await page.getByRole('heading', { level: 1 }).innerText();
      await page.waitForTimeout(1_000);
      return (await page.getByRole('heading', { level: 1 }).innerText()) === before;
    });
  });

  test('a column says what was in it, to the pointer and to the keyboard', async () => {
    const { page } = ann;
    const chart = page.getByRole('slider', { name: 'Batches, the newest on the right' });
    // Force: the lines between the squares are above them.
    const newestBar = page.locator('#chart rect[data-user]').last();
    await newestBar.hover({ force: true, position: { x: 3, y: 3 } });
    const last = /^Batch (\d+): \d+ of at most 32 requests \(.*[A-Z][a-z]+ \d+.*\), sent because .*, [\d.]+ ms\.$/;
    await shows(page.locator('#readout'), last);
    await page.mouse.move(0, 0);
    await shows(page.locator('#readout'), 'The newest batch is on the right');
    await page.getByRole('button', { name: 'Change' }).focus();
    // To the link, the two links to the code, and the chart.
    for (let i = 0; i < 4; i += 1) await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement?.id')).toBe('chart');
    await shows(page.locator('#readout'), last);
    const newest = await chart.getAttribute('aria-valuenow');
    await page.keyboard.press('ArrowLeft');
    await shows(page.locator('#readout'), `Batch ${Number(newest) - 1}:`);
    await capture(page, 'keyboard');
    expect(await chart.getAttribute('aria-valuetext')).toBe(await page.locator('#readout').innerText());
    await page.keyboard.press('Home');
    const oldest = await chart.getAttribute('aria-valuemin');
    await expectSoon(async () => (await chart.getAttribute('aria-valuenow')) === oldest);
    // The next one sets them to work.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Send them home' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Set 8 simulated users to work' }).waitFor();
  });

  test('the lines of code that do it are a click away', async () => {
    const tab = await WatchedPage.openTab(ann.page.context(), server.address);
    await tab.page.getByRole('link', { name: 'These lines do it' }).click();
    await shows(tab.page.locator('.line.meant'), 'batchSize: BATCH_SIZE');
    await capture(tab.page, 'code');
    expect(await violationsOf(tab.page)).toEqual([]);
    await tab.page.goto(`${server.address}/page/read.html?code=rows`);
    await shows(tab.page.locator('.line.meant'), 'extends MemoryBatcher');
    expect(tab.complaints).toEqual([]);
    await tab.page.close();
  });

  test('every tab is a user of its own, all tabs share one connection, and a reload keeps both', async () => {
    const context = await browser.newContext();
    const names = Array.from({ length: 8 }, (_, i) => `tab${i}`);
    const tabs = await Promise.all(
      names.map((name) => WatchedPage.openTab(context, `${server.address}/?user=${name}`)),
    );
    // A browser opens six connections to one host: with one for each tab the seventh would wait for ever.
    for (const { page } of tabs) await page.getByText('Live', { exact: true }).waitFor();
    const [first, second] = tabs as [WatchedPage, WatchedPage];
    await startText(first.page, 'one.md', '# One\n\nText of the first tab.');
    await startText(second.page, 'two.md', '# Two\n\nText of the second tab.');
    await shows(jobOf(first.page, 'one.md'), 'Done');
    await shows(jobOf(second.page, 'two.md'), 'Done');
    expect(await first.page.locator('#jobs h3').allTextContents()).toEqual(['one.md']);
    await first.page.reload();
    await shows(jobOf(first.page, 'one.md'), 'Done');
    expect(await first.page.getByLabel('You are').inputValue()).toBe('tab0');
    // Without a batch that would come now: no job runs.
    await expectSoon(async () => (await columnsOf(first.page)).length > 20);
    const [opened] = await Promise.all([
      context.waitForEvent('page'),
      first.page.getByRole('link', { name: 'Open as another user' }).click(),
    ]);
    await opened.getByText('Live', { exact: true }).waitFor();
    expect(await opened.getByLabel('You are').inputValue()).not.toBe('tab0');
    await opened.getByLabel('You are').fill('tab1');
    await opened.getByRole('button', { name: 'Change' }).click();
    await shows(jobOf(opened, 'two.md'), 'Done');
    await capture(opened, 'second-tab');
    expect(tabs.flatMap(({ complaints }) => complaints)).toEqual([]);
    await context.close();
  });

  test('shows text as text, whatever it holds, also in a document', async () => {
    const { page } = bob;
    const links = '[good](https://example.org/) [bad](javascript:alert(1)) ![picture](https://example.org/x.png)';
    await startText(page, `${SCRIPT}.md`, `# ${SCRIPT}\n\nThe marmot ${SCRIPT} whistles.\n\n${links}\n\n- an item`);
    await shows(jobOf(page, `${SCRIPT}.md`), '1 of 1 chunk stored');
    const hits = await search(page, 'marmot whistles <script>', /result/);
    await shows(hits.first(), SCRIPT);
    expect(await hits.first().locator('mark').allTextContents()).toEqual(
      expect.arrayContaining(['marmot', 'whistles']),
    );
    expect(await page.locator('main :is(script, img)').count()).toBe(0);

    await hits.first().getByRole('link').click();
    await shows(page.locator('section.meant'), SCRIPT);
    expect(
      await page.evaluate<string[]>(`[...document.querySelectorAll('main a')].map((a) => a.getAttribute('href'))`),
    ).toEqual(['https://example.org/', 'https://example.org/x.png']);
    expect(await page.locator('main :is(script, img)').count()).toBe(0);
    expect(await page.locator('main li').allTextContents()).toEqual(['an item']);
    expect(await violationsOf(page)).toEqual([]);
    await capture(page, 'document');
    await page.getByRole('link', { name: 'Back' }).click();
    await shows(page.getByRole('list', { name: 'Results' }).getByRole('listitem').first(), SCRIPT);
  });

  test('finds misspelt words and other scripts, and says so when there is no good match', async () => {
    const { page } = bob;
    await startText(
      page,
      'japan.md',
      '# 手引き\n\nこの文書はデータベースの接続プールについて説明します。\n\n# Zoo\n\nThe walruses sleep.',
    );
    await shows(jobOf(page, 'japan.md'), '2 of 2 chunks stored');
    for (const misspelt of ['walrusses', 'walrsus']) {
      const hits = await search(page, misspelt, `1 result for “walruses”, which is spelt like “${misspelt}”`);
      expect(await hits.count()).toBe(1);
      await shows(hits.first(), 'The walruses sleep.');
    }
    await capture(page, 'misspelling');
    // Of the same stem, so nothing has to be corrected.
    await shows((await search(page, 'walruse', '1 result.')).first(), 'The walruses sleep.');
    await shows((await search(page, '接続プール', /1 result/)).first(), '接続プール');
    for (const noise of ['asdfghjkl', '한국어', 'x'.repeat(300)]) {
      await search(page, noise, `No good match for “${noise}”`);
      expect(await page.getByRole('list', { name: 'Results' }).isVisible()).toBe(false);
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    }
    await capture(page, 'no-good-match');
  });

  test('takes files that are chosen and files that are dropped, and refuses what is not allowed', async () => {
    const { page } = bob;
    await upload(
      page,
      ['one', 'two'].map((name) => [`${name}.md`, `# ${name}\n\ntext\n\n# More\n\ntext`]),
    );
    await shows(jobOf(page, 'one.md and 1 more'), '4 of 4 chunks stored');

    // `false`: the browser is not to open the file by itself.
    expect(await page.evaluate(drag('dragenter'))).toBe(true);
    await page.getByText('Drop the documents to index them').waitFor();
    expect(await page.evaluate(drag('dragover'))).toBe(false);
    expect(await page.evaluate(drag('drop'))).toBe(false);
    await shows(jobOf(page, 'dropped.md'), '1 of 1 chunk stored');
    expect(await page.getByText('Drop the documents to index them').isVisible()).toBe(false);

    await startFolder(page, '../elsewhere');
    await shows(page.locator('#start-error'), 'Only folders below');
    expect(bob.complaints.splice(0)).toEqual([expect.stringContaining('403'), expect.stringContaining('403')]);
  });

  test('a job that stored nothing does not say that it is done', async () => {
    const { page } = bob;
    await upload(page, [['paper.pdf', '%PDF-1.7 and so on']]);
    await shows(jobOf(page, 'paper.pdf'), 'Nothing stored');
    await shows(jobOf(page, 'paper.pdf'), 'a PDF, which is not supported');
    await upload(page, [['empty.md', '']]);
    await shows(jobOf(page, 'empty.md'), 'Nothing stored');
    await shows(jobOf(page, 'empty.md'), 'no text found');
    await capture(page, 'nothing-stored');
  });

  test('a job goes on while the page is loaded again, is found by a search, and stops when it is cancelled', async () => {
    const { page } = ann;
    const results = page.getByRole('list', { name: 'Results' }).getByRole('listitem');
    await search(page, KNOWN, /No good match|results?/);
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
    await expectSoon(async () => storedIn(await huge.innerText()) > after);

    await huge.getByRole('button', { name: 'Cancel huge' }).click();
    await shows(huge, 'Cancelled');
    expect(await huge.getByRole('button', { name: 'Cancel' }).count()).toBe(0);
    // Of a job that is over nothing more is sent: it is among those of the beginning.
    await page.reload();
    await shows(huge, 'Cancelled');
    const stored = storedIn(await huge.innerText());
    expect(stored).toBeGreaterThan(after);
    expect(stored).toBeLessThan(HUGE.all);
  });

  test('axe finds nothing, every text has its contrast, and nothing is wider than the screen', async () => {
    const { page } = bob;
    await search(page, 'marmot', /result/);
    for (const kind of ['Folder', 'Files', 'Text']) {
      await page.getByLabel(kind, { exact: true }).first().check();
      const controls = await controlsOf(page);
      expect(controls).toEqual(
        expect.arrayContaining(['textbox You are', 'button Start', 'slider Batches, the newest on the right']),
      );
      expect(controls.filter((control) => control.endsWith(' '))).toEqual([]);
      for (const width of [320, 700, 840, 1200]) {
        await page.setViewportSize({ width, height: 800 });
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      }
    }
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violationsOf(page)).toEqual([]);
      expect(await lowContrast(page)).toEqual([]);
      await capture(page, `desktop-${colorScheme}`);
      await search(page, 'what is said here', /result/);
      await capture(page, `hits-${colorScheme}`);
      await page.setViewportSize({ width: 320, height: 700 });
      expect(await violationsOf(page)).toEqual([]);
      await capture(page, `phone-${colorScheme}`);
      await page.setViewportSize({ width: 1200, height: 800 });
    }
  });

  test('with forced colours squares keep their colours, and a bar its length', async () => {
    const { page } = bob;
    await page.emulateMedia({ colorScheme: 'dark', forcedColors: 'active' });
    // The job before has filled the chart with batches of one user.
    await page.getByRole('button', { name: 'Set 8 simulated users to work' }).click();
    await expectSoon(async () => {
      const fills = await page.evaluate<string[]>(
        `[...document.querySelectorAll('#chart rect[data-user]')].map((bar) => getComputedStyle(bar).fill)`,
      );
      return new Set(fills).size >= 8;
    });
    await page.getByRole('button', { name: 'Send them home' }).click();
    const [track, ours] = await page.evaluate<string[]>(
      `['.track i', '.track .ours'].map((bar) => getComputedStyle(document.querySelector(bar)).backgroundColor)`,
    );
    expect(track).not.toBe(ours);
    expect(await violationsOf(page)).toEqual([]);
    await capture(page, 'forced-colours');
    await page.emulateMedia({ forcedColors: 'none' });
  });

  test('kill -9 of the server: the open page finds the next one, with its batches and the jobs that go on', async () => {
    const { page } = ann;
    const before = await jobOf(page, 'huge').count();
    await startFolder(page, 'huge');
    // The row of the cancelled job says how much was read, too.
    await jobOf(page, 'huge').nth(before).waitFor();
    const again = jobOf(page, 'huge').first();
    await shows(again, /[1-9]\d* read so far/);
    await server.end('SIGKILL');
    await page.getByText('The server does not answer; trying again').waitFor();
    await capture(page, 'server-away');
    server = await LiveServer.start(['--no-index', '--root', documents, '--data', data, ...ROWS, '--port', port]);
    await page.getByText('Live', { exact: true }).waitFor();
    await shows(again, /Reading|Running/);
    await expectSoon(async () => (await columnsOf(page)).length > 20);
    await again.getByRole('button', { name: 'Cancel huge' }).click();
    await shows(again, 'Cancelled');
    // What a cancelled job has stored is counted afterwards, and before a later job is done.
    await startText(page, 'last.md', '# Last\n\nText of the last job.');
    await shows(jobOf(page, 'last.md'), 'Done');
    // Requests while no server was there to answer.
    ann.complaints.splice(0);
    bob.complaints.splice(0);
  });

  test('what it shows is what the database holds when the server has ended; no error was logged', async () => {
    expect([...ann.complaints, ...bob.complaints]).toEqual([]);
    expect(await server.end()).toBe(130);
    await ann.page.getByText('The server does not answer; trying again').waitFor();
    const jobs = await ask<{ user: string; name: string; stored: number }>(data, STORED);
    for (const { page } of [ann, bob]) {
      const user = await page.getByLabel('You are').inputValue();
      const shown = await page.locator('#jobs > li').allInnerTexts();
      // As many chunks as each job says, or none where it found no text.
      const stored = shown.map((text) => storedIn(text) || 0).sort((a, b) => a - b);
      const own = jobs.filter((job) => job.user === user).map((job) => job.stored);
      expect(stored).toEqual(own.sort((a, b) => a - b));
    }
  });
});

if (noBrowser !== undefined) console.warn(`SKIPPED: ${tests} tests of the page, ${noBrowser}`);

/** Dispatches an event as if a document were dragged; whether the browser may do with it what it usually does. */
function drag(event: string): string {
  return `(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['# Dropped\\n\\ntext'], 'dropped.md'));
    const event = new DragEvent('${event}', { dataTransfer, bubbles: true, cancelable: true });
    return document.querySelector('main').dispatchEvent(event);
  })()`;
}
