import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from './proof/compile.js';
import { play } from './proof/play.js';

let compiled: string;
let folder: string;

beforeAll(() => {
  compiled = compile();
  folder = fs.mkdtempSync(join(tmpdir(), 'bp-limits-'));
});

afterAll(() => {
  for (const path of [compiled, folder]) fs.rmSync(path, { recursive: true, force: true });
});

interface Backlog {
  refused: number;
  pending: number;
  /** Descriptors, and megabytes, after each tenth of the items. */
  waiting: number[];
  heap: number[];
  delivered: number;
  distinct: number;
}

const ITEMS = 1_000_000;
const FILES = 10_000;

test('G16: with 64 descriptors, 1,000,000 items wait in 10,000 files: memory grows by less than 2 KB a file', async () => {
  const { refused, pending, waiting, heap, delivered, distinct } = await play<Backlog>(
    compiled,
    { scene: 'backlog', directory: join(folder, 'spool'), items: ITEMS, size: ITEMS / FILES },
    { limits: 'ulimit -n 64', flags: ['--expose-gc'] },
  );
  expect({ refused, pending, delivered, distinct }).toEqual({
    refused: 0,
    pending: ITEMS,
    delivered: ITEMS,
    distinct: ITEMS,
  });
  expect(Math.max(...waiting)).toBeLessThan(64);
  // From a tenth of the files to nine tenths of them.
  const [, first = 0] = heap;
  const grown = ((heap.at(-1) ?? 0) - first) * 1e6;
  expect(grown / (0.8 * FILES)).toBeLessThan(2000);
}, 600_000);
