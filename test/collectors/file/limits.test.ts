import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noPreload, testUnless } from '../../support/skips.js';
import { compile } from './proof/compile.js';
import { compileShim } from './proof/faults.js';
import { play } from './proof/play.js';

/** Limits of the operating system, in processes that have them. Nothing here is timed. */
jest.setTimeout(300_000);

let compiled: string;
let folder: string;
let directory: string;

beforeAll(() => {
  compiled = compile();
});

afterAll(() => {
  fs.rmSync(compiled, { recursive: true, force: true });
});

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-limits-'));
  directory = join(folder, 'spool');
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

interface Backlog {
  refused: number;
  pending: number;
  waiting: number[];
  delivered: number;
  distinct: number;
}

test('G16: with 64 descriptors, 200 batches wait for a sink that is down, and all 4,000 items are delivered when it is back', async () => {
  const { refused, pending, waiting, delivered, distinct } = await play<Backlog>(
    compiled,
    { scene: 'backlog', directory, items: 4000, size: 20 },
    { limits: 'ulimit -n 64' },
  );
  expect({ refused, pending, delivered, distinct }).toEqual({
    refused: 0,
    pending: 4000,
    delivered: 4000,
    distinct: 4000,
  });
  expect(Math.max(...waiting)).toBeLessThan(64);
});

interface FileLimit {
  stored: number[];
  refused: number[];
  delivered: number[];
  errors: string[];
  files: number;
}

test('G7, G18: where files may not become large, a new one is begun, and every stored item is delivered', async () => {
  const { stored, refused, delivered, errors, files } = await play<FileLimit>(
    compiled,
    { scene: 'fileLimit', directory, items: 300 },
    // 32 or 64 KB, as the shell has it.
    { limits: 'ulimit -f 64' },
  );
  expect(delivered).toEqual(stored);
  expect(files).toBeGreaterThan(300 / 70);
  // Only the first add that comes to the limit is refused: the largest size is known from then on.
  expect(refused.length).toBeLessThanOrEqual(2);
  expect(errors.filter((name) => name !== 'StorageError')).toEqual([]);
});

interface HungSync {
  delivered: number[];
  closed: string[];
  told: string[];
  took: number;
  hung: boolean;
}

testUnless(noPreload())(
  'A8: where a sync never ends, close({ timeout }) ends, and batchers of other directories go on',
  async () => {
    const shim = compileShim(compiled);
    if (shim === undefined) throw new Error('the shim does not compile');
    const hang = join(folder, 'hang');
    fs.mkdirSync(directory);
    const { delivered, closed, told, hung } = await play<HungSync>(
      compiled,
      { scene: 'hungSync', directory, hang },
      { env: { LD_PRELOAD: shim, SHIM_DIR: join(directory, 'bad-'), SHIM_HANG: hang }, killed: true },
    );
    expect(delivered).toEqual(Array.from({ length: 20 }, (_, item) => item));
    expect(hung).toBe(true);
    expect(closed).toHaveLength(2);
    for (const error of closed) expect(error).toMatch(/^(CloseError|StorageError): /);
    // These must not be reported as stored.
    for (const error of told) expect(error).toMatch(/^\w+Error: /);
  },
);
