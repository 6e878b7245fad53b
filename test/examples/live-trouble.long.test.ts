// What goes wrong with the database, as a user of the page sees it: real processes, since they have to be killed, and a
// real disk.
import { spawnSync } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { random } from 'batch-please/testing';
import { capture, launchBrowser, noBrowser } from '../support/browser.js';
import { interrupted, jobOf, pageOf, shows, startFolder } from '../support/live-page.js';
import { LiveServer, scratch, writeDocuments } from '../support/live-server.js';
import { PostgresServer } from '../support/postgres-server.js';
import { noMounts, testUnless } from '../support/skips.js';

/** Milliseconds that a busy machine may take to recover a database. */
const RECOVERY = 300_000;

/** Sections of each document: a job that takes much longer than the page needs to show that it has begun. */
const LONG_JOB = 500;

/** More than none, whether or not it is known of how many. */
const SOME_STORED = /(?<![\d,]|of )[1-9][\d,]* (of [\d,]+ )?chunks? stored/;

jest.setTimeout(900_000);

// Also when a test was given up in the middle: a folder with a mounted disk cannot be removed.
const folder = scratch(unmount);
const documents = join(folder, 'documents');
const disk = join(folder, 'disk');
const filler = join(disk, 'filler');
let browser: Browser;

beforeAll(async () => {
  await mkdir(documents);
  if (noBrowser === undefined) browser = await launchBrowser();
});
afterAll(async () => {
  if (noBrowser === undefined) await browser.close();
});

testUnless(noBrowser)(
  'a database that is away: the page says so, goes on when it is back, and Ctrl-C ends also after a job was cancelled',
  async () => {
    await mkdir(join(folder, 'database'));
    const place = join(folder, 'database', 'postgres');
    let postgres = await PostgresServer.start(place);
    const args = ['--no-index', '--root', documents, '--data', join(folder, 'data-away'), '--batch-size', '3'];
    const server = await LiveServer.start(args, { DATABASE_URL: postgres.address });
    const { page } = await pageOf(browser, 'ann', server);
    const jobs = jobOf(page, 'documents');
    const job = jobs.first();
    const startNext = async (sections: number): Promise<void> => {
      await writeDocuments(documents, 8, sections);
      const before = await jobs.count();
      await startFolder(page, '');
      // The first row is that of the new job only when there is one more: an older one may have stored all it had.
      await jobs.nth(before).waitFor();
    };
    const killInTheMiddle = async (): Promise<void> => {
      await startNext(LONG_JOB);
      await shows(job, SOME_STORED);
      await postgres.kill();
      await shows(page.getByRole('alert'), 'The database is away');
      await shows(job, 'Paused');
    };
    await killInTheMiddle();
    await capture(page, 'database-away');
    await job.getByRole('button', { name: 'Cancel documents' }).click();
    await shows(job, 'Cancelled');

    postgres = await PostgresServer.start(place, postgres.port);
    await page.getByRole('alert').filter({ hasText: 'The database is away' }).waitFor({ state: 'hidden' });
    await startNext(50);
    await shows(job, /400 of 400 chunks stored/);
    await shows(job, 'Done');
    await capture(page, 'database-back');

    await killInTheMiddle();
    await job.getByRole('button', { name: 'Cancel documents' }).click();
    await shows(job, 'Cancelled');
    expect(await interrupted(server)).toEqual([130, true]);
  },
);

testUnless(noBrowser, noMounts())(
  'a full disk: jobs pause, go on by themselves when there is room, and Ctrl-C ends at any time',
  async () => {
    await mkdir(disk);
    const [many, more] = [join(folder, 'roots', 'many'), join(folder, 'roots', 'more')];
    await writeLargeDocuments(many, 1);
    await writeLargeDocuments(more, 2);
    mount('-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', disk);
    const args = ['--no-index', '--root', join(folder, 'roots'), '--data', join(disk, 'data')];
    const first = await LiveServer.start(args);
    const { page } = await pageOf(browser, 'ann', first);

    // Room for some rows, and not for the next file of Postgres's log, of 16 MiB.
    await fillDisk(18);
    await startFolder(page, 'many');
    await shows(jobOf(page, 'many'), 'Paused', RECOVERY);
    await shows(jobOf(page, 'many'), /the disk is full: \d+ MiB are left/);
    await capture(page, 'full-disk');
    await rm(filler);
    await shows(jobOf(page, 'many'), 'Done', RECOVERY);
    await capture(page, 'full-disk-no-more');
    const all = `${(FILES * SECTIONS).toLocaleString('en')} of ${(FILES * SECTIONS).toLocaleString('en')} chunks stored`;
    await shows(jobOf(page, 'many'), all);

    await fillDisk(0);
    await startFolder(page, 'more');
    await shows(page.locator('#start-error').or(jobOf(page, 'more')), /no space left|the disk is full/, RECOVERY);
    expect(await interrupted(first)).toEqual([130, true]);

    await rm(filler);
    const second = await LiveServer.start(args);
    const { page: again } = await pageOf(browser, 'ann', second);
    if ((await jobOf(again, 'more').count()) === 0) await startFolder(again, 'more');
    await shows(jobOf(again, 'more'), 'Done', RECOVERY);
    await shows(jobOf(again, 'more'), all);
    expect(await interrupted(second)).toEqual([130, true]);
    unmount();
  },
);

/** Leaves so many MiB. */
async function fillDisk(free: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk);
  await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - free * 1024 * 1024)));
}

function unmount(): void {
  // Lazily: processes that still use it keep it.
  spawnSync('umount', ['-l', disk]);
}

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

const FILES = 18;
const SECTIONS = 60;

/** Of words that do not compress. */
async function writeLargeDocuments(place: string, seed: number): Promise<void> {
  const { int } = random(seed);
  await mkdir(place, { recursive: true });
  const word = (): string => int(2 ** 31).toString(36);
  for (let file = 0; file < FILES; file += 1) {
    const texts = Array.from(
      { length: SECTIONS },
      (_, i) => `# ${i}\n\n${Array.from({ length: 300 }, word).join(' ')}\n`,
    );
    await writeFile(join(place, `${file}.md`), texts.join('\n'));
  }
}
