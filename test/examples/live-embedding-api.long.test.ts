// What goes wrong with an embedding API, as a user of the page sees it.
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { capture, launchBrowser, noBrowser, violationsOf } from '../support/browser.js';
import { FakeEmbeddingApi } from '../support/fake-embedding-api.js';
import { interrupted, jobOf, pageOf, search, shows, startText } from '../support/live-page.js';
import { LiveServer, scratch, writeDocuments } from '../support/live-server.js';
import { testUnless } from '../support/skips.js';

jest.setTimeout(300_000);

const folder = scratch();
const documents = join(folder, 'documents');
let browser: Browser;

beforeAll(async () => {
  await writeDocuments(documents, 8, 50);
  if (noBrowser === undefined) browser = await launchBrowser();
});
afterAll(async () => {
  if (noBrowser === undefined) await browser.close();
});

const sections = (...texts: string[]): string =>
  texts.map((text) => `# ${text}\n\nSome words about ${text}.\n`).join('\n');

testUnless(noBrowser)('a failing embedding API is reported as what it is, and blocks no other user', async () => {
  await using api = new FakeEmbeddingApi();
  const args = ['--no-index', '--root', documents, '--data', join(folder, 'data-api')];
  const server = await LiveServer.start(args, await api.open());
  const [{ page: ann }, { page: bob }] = [await pageOf(browser, 'ann', server), await pageOf(browser, 'bob', server)];

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
  // Nothing else is stored, by which it would differ from an outage.
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
  await capture(ann, 'words-only');
  api.mode = 'well';
  await startText(bob, 'again.md', sections('plum'));
  await shows(jobOf(bob, 'again.md'), 'Done');
  await capture(ann, 'embedding-trouble');
  expect(await violationsOf(ann)).toEqual([]);
  expect(await interrupted(server)).toEqual([130, true]);
});
