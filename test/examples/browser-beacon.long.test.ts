import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { WatchedPage, launchBrowser, noBrowser } from '../support/browser.js';
import { root } from '../support/project.js';
import { testUnless } from '../support/skips.js';

interface Request {
  names: string[];
  id: string | undefined;
}

let browser: Browser | undefined;
let server: Server;
let url: string;
jest.setTimeout(240_000);

const requests: Request[] = [];
let heard: (() => void) | undefined;
/** Answers wait for it. */
let answer: Promise<void> = Promise.resolve();

beforeAll(async () => {
  if (noBrowser !== undefined) return;
  const { outputFiles } = await build({
    stdin: {
      contents: `import { beacon } from './examples/browser-beacon/beacon.ts'; window.track = beacon('/events').track;`,
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
  });
  const script = outputFiles[0]?.text ?? '';
  server = createServer((request, response) => {
    if (request.url !== '/events') {
      response.setHeader('content-type', request.url === '/app.js' ? 'text/javascript' : 'text/html');
      response.end(
        request.url === '/app.js'
          ? script
          : // No timer rings: however slow the machine is, nothing is sent for its age.
            '<!doctype html><link rel="icon" href="data:,"><script>setTimeout = () => 0</script><script type="module" src="/app.js"></script>',
      );
      return;
    }
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const id = request.headers['idempotency-key'];
      requests.push({ names: (JSON.parse(body) as { name: string }[]).map(({ name }) => name), id: String(id) });
      heard?.();
      void answer.then(() => response.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  browser = await launchBrowser();
}, 240_000);

afterAll(async () => {
  await browser?.close();
  if (noBrowser === undefined) server.close();
});

async function until(done: () => boolean): Promise<void> {
  while (!done()) {
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
}

const inBrowser = testUnless(noBrowser);

inBrowser('what is pending is sent when the page is closed', async () => {
  if (browser === undefined) throw new Error('no browser');
  const { page, complaints } = await WatchedPage.open(browser, url);
  await page.evaluate(`for (const name of ['a', 'b', 'c']) track(name)`);
  expect(requests).toEqual([]);
  await page.close({ runBeforeUnload: false });
  await until(() => requests.length > 0);
  expect(requests.map(({ names }) => names)).toEqual([['a', 'b', 'c']]);
  expect(complaints).toEqual([]);
});

inBrowser('also while an earlier batch is on its way', async () => {
  if (browser === undefined) throw new Error('no browser');
  requests.length = 0;
  let open: (() => void) | undefined;
  answer = new Promise((resolve) => {
    open = resolve;
  });
  const { page } = await WatchedPage.open(browser, url);
  // The second does not fit into the batch of the first, which is sent at once. Together they fit into what a browser
  // sends for pages that were closed.
  await page.evaluate(`track('x'.repeat(35_000)); track('y'.repeat(26_000))`);
  await until(() => requests.length === 1);
  await page.goto('about:blank');
  await until(() => requests.length === 2);
  open?.();
  expect(requests.map(({ names }) => names.map((name) => name[0]).join())).toEqual(['x', 'y']);
  expect(new Set(requests.map(({ id }) => id)).size).toBe(2);
});

inBrowser('the demonstration prints the events of its page in the requests that they came in', async () => {
  if (browser === undefined) throw new Error('no browser');
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/browser-beacon/main.ts'], { cwd: root });
  try {
    let output = '';
    // Listens all the time: what is printed while the page is used must not be missed.
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    const saying = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const found = pattern.exec(output);
        if (found !== null) return found;
        await once(child.stdout, 'data');
      }
    };
    const [, address = ''] = await saying(/^Open (http:\S+);/m);
    const { page, complaints } = await WatchedPage.open(browser, address);
    await page.click('h1');
    await page.keyboard.press('a');
    await page.close({ runBeforeUnload: false });
    // In one request, or on a slow machine, where five seconds have passed meanwhile, in two.
    await saying(/^a request of \d events: open[^]*click[^]*keydown$/m);
    expect(complaints).toEqual([]);
  } finally {
    child.kill();
  }
});
