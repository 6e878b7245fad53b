// What goes wrong, as a user of the page sees it: real processes, since they have to be killed, and a real disk.
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { random } from 'batch-please/testing';
import type { Job } from '../../examples/document-indexing/protocol.js';
import { capture, launchBrowser, noBrowser, violationsOf, WatchedPage } from '../support/browser.js';
import { FakeEmbeddingApi } from '../support/fake-embedding-api.js';
import { jobOf, search, shows, startFolder, startText } from '../support/live-page.js';
import { LiveServer, scratch, writeDocuments } from '../support/live-server.js';
import { PostgresServer } from '../support/postgres-server.js';
import { noMounts, testUnless } from '../support/skips.js';

jest.setTimeout(120_000);

/** Milliseconds: ten for what is under way, and some for a busy machine. */
const END = 15_000;

const folder = scratch();
const documents = join(folder, 'documents');
let browser: Browser | undefined;

beforeAll(async () => {
  await writeDocuments(documents, 8, 50);
  if (noBrowser === undefined) browser = await launchBrowser();
});
afterAll(() => browser?.close());

async function pageOf(user: string, server: LiveServer): Promise<WatchedPage> {
  if (browser === undefined) throw new Error('there is no browser');
  const watched = await WatchedPage.open(browser, `${server.address}/?user=${user}`);
  await watched.page.getByText('Live', { exact: true }).waitFor();
  return watched;
}

/** The exit code, and how long it took. */
async function interrupted(server: LiveServer): Promise<[code: unknown, soon: boolean]> {
  const start = performance.now();
  const code = await server.end('SIGINT');
  return [code, performance.now() - start < END];
}

const sections = (...texts: string[]): string =>
  texts.map((text) => `# ${text}\n\nSome words about ${text}.\n`).join('\n');

testUnless(noBrowser)('a failing embedding API is reported as what it is, and blocks no other user', async () => {
  await using api = new FakeEmbeddingApi();
  const args = ['--no-index', '--root', documents, '--data', join(folder, 'data-api')];
  const server = await LiveServer.start(args, await api.open());
  const [{ page: ann }, { page: bob }] = [await pageOf('ann', server), await pageOf('bob', server)];

  // One text that the API refuses, and one whose vector Postgres refuses; the others of their batches are stored.
  await startText(ann, 'mixed.md', sections('first', 'POISON', 'second', 'FORBIDDEN', 'third'));
  await startText(bob, 'fine.md', sections('apple', 'pear'));
  await shows(jobOf(bob, 'fine.md'), '2 of 2 chunks stored');
  await shows(jobOf(bob, 'fine.md'), /Done(?! with)/);
  const mixed = jobOf(ann, 'mixed.md');
  await shows(mixed, 'Done with problems');
  await shows(mixed, '3 of 5 chunks stored');
  await shows(mixed, /mixed\.md › FORBIDDEN: the embedding API answered 400 Bad Request: This text is not allowed\./);
  await shows(mixed, /mixed\.md › POISON: .*out of range for type halfvec/);
  await capture(ann, 'poison');
  // Nothing else is stored that would tell it from an outage.
  await startText(ann, 'lone.md', sections('POISON'));
  await shows(jobOf(ann, 'lone.md'), 'Nothing stored');
  await shows(jobOf(ann, 'lone.md'), 'out of range for type halfvec');

  api.mode = 'denied';
  await startText(ann, 'denied.md', sections('a'));
  await shows(jobOf(ann, 'denied.md'), 'Failed');
  await shows(jobOf(ann, 'denied.md'), 'answered 401 Unauthorized: Incorrect API key provided.');

  api.mode = 'another model';
  await startText(ann, 'longer.md', sections('a'));
  await shows(jobOf(ann, 'longer.md'), 'vectors of 16 numbers instead of 8');
  api.mode = 'well';
  await shows((await search(ann, 'apple', /results?\./)).first(), 'apple');

  api.mode = 'indexes';
  await startText(ann, 'indexes.md', sections('a', 'b'));
  await shows(jobOf(ann, 'indexes.md'), 'Failed');
  await shows(jobOf(ann, 'indexes.md'), 'two embeddings for the text 0');

  api.mode = 'away';
  const hits = await search(ann, 'pear', /The embedding does not answer: these are by the words alone\./);
  await shows(hits.first(), 'pear');
  api.mode = 'well';
  await startText(bob, 'again.md', sections('plum'));
  await shows(jobOf(bob, 'again.md'), 'Done');
  await capture(ann, 'embedding-trouble');
  expect(await violationsOf(ann)).toEqual([]);
  expect(await interrupted(server)).toEqual([130, true]);
});

testUnless(noBrowser)(
  'a database that is away: the page says so, and Ctrl-C ends also after a job was cancelled',
  async () => {
    await mkdir(join(folder, 'database'));
    const postgres = await PostgresServer.start(join(folder, 'database', 'postgres'));
    const args = ['--no-index', '--root', documents, '--data', join(folder, 'data-away'), '--batch-size', '3'];
    const server = await LiveServer.start(args, { DATABASE_URL: postgres.address });
    const { page } = await pageOf('ann', server);
    await startFolder(page, '');
    const job = jobOf(page, 'documents');
    await shows(job, /[1-9]\d* (of \d+ )?chunks? stored/);
    await postgres.kill();
    await shows(page.getByRole('alert'), 'The database is away');
    await shows(job, 'Paused');
    await capture(page, 'database-away');
    await job.getByRole('button', { name: 'Cancel documents' }).click();
    await shows(job, 'Cancelled');
    expect(await interrupted(server)).toEqual([130, true]);
  },
);

testUnless(noBrowser, noMounts())(
  'a full disk: jobs pause, go on by themselves when there is room, and Ctrl-C ends at any time',
  async () => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    const many = join(folder, 'many');
    await writeLargeDocuments(many, FILES);
    mount('-t', 'tmpfs', '-o', 'size=60m', 'tmpfs', disk);
    try {
      const args = ['--no-index', '--root', many, '--data', join(disk, 'data')];
      const first = await LiveServer.start(args);
      const { page } = await pageOf('ann', first);
      await startFolder(page, '');
      const job = jobOf(page, 'many');
      await shows(job, 'Paused');
      await shows(job, /[Nn]o space left/);
      await capture(page, 'full-disk');
      mount('-o', 'remount,size=90m', disk);
      await shows(job, /Reading|Running/);
      await shows(job, 'Paused');
      expect(await interrupted(first)).toEqual([130, true]);

      mount('-o', 'remount,size=900m', disk);
      const second = await LiveServer.start(args);
      const [found] = await second.get<Job[]>('/api/jobs');
      const done = await second.until(found?.id ?? '', ({ state }) => state === 'done');
      expect(done.chunks).toMatchObject({ stored: FILES * SECTIONS, refused: 0, total: FILES * SECTIONS });
      expect(await interrupted(second)).toEqual([130, true]);
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  },
);

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

const FILES = 18;
const SECTIONS = 60;

/** Of words that do not compress. */
async function writeLargeDocuments(place: string, files: number): Promise<void> {
  const { int } = random(1);
  await mkdir(place, { recursive: true });
  const word = (): string => int(2 ** 31).toString(36);
  for (let file = 0; file < files; file += 1) {
    const texts = Array.from(
      { length: SECTIONS },
      (_, i) => `# ${i}\n\n${Array.from({ length: 300 }, word).join(' ')}\n`,
    );
    await writeFile(join(place, `${file}.md`), texts.join('\n'));
  }
}
