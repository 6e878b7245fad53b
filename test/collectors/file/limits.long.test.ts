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

test('G16: with 64 descriptors, 1,000,000 items wait in 10,000 files: memory grows by a few hundred bytes a file', async () => {
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
  const [first = 0] = heap.slice(1);
  // 9,000 more files, at 1,000 bytes each: what the sink has got by now is not counted.
  expect((heap.at(-1) ?? 0) - first).toBeLessThanOrEqual(9);
}, 600_000);
