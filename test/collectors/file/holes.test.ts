// Holes and other damage of any size, at any place of a file, in a running process and before a start.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { TestClock, random } from 'batch-please/testing';
import type { Durability, FileBatcherOptions, Integrity } from '../../../collectors/file-batcher.js';
import { type FileSystem, type OpenFile, nodeFileSystem } from '../../../collectors/file/file-system.js';
import { settled } from '../../support/collectors.js';
import { directory, filesIn, life, removeDirectories } from '../../support/spool.js';
import { lineOf } from './proof/damage.js';

afterEach(removeDirectories);

const FILES = 40;
const SIZE = 12;

/** Strings with zeros, as they are: no JSON that would escape them. */
const text = (item: number): string => `${item}:${item % 3 === 0 ? '\0\0' : 'x'.repeat(item % 50)}`;

const LEVELS: [Durability, Integrity][] = [
  ['none', 'line'],
  ['batch', 'suffix'],
  ['item', 'line'],
];

function options(durability: Durability, integrity: Integrity): Partial<FileBatcherOptions<number>> {
  return {
    durability,
    integrity,
    maxBatchSize: SIZE,
    encode: text,
    decode: (line) => Number.parseInt(line, 10),
    retry: { minDelay: 1, maxDelay: 1 },
  };
}

/** Makes a hole in each file; answers the items that it has not touched, the most that may be left, and the bytes in all. */
function punch(path: string, integrity: Integrity): { intact: number[]; bytes: number } {
  const source = random(11);
  const intact: number[] = [];
  let bytes = 0;
  for (const [file, { name }] of filesIn(path).entries()) {
    const items = Array.from({ length: SIZE }, (_, index) => file * SIZE + index);
    const starts = [0];
    for (const item of items) {
      starts.push((starts.at(-1) ?? 0) + Buffer.byteLength(lineOf(text(item), integrity)));
    }
    const length = starts.at(-1) ?? 0;
    const size = source.pick([1, 2, 50, 200, 512, length]);
    // Some begin or end where a line does.
    const from = source.chance(0.5) ? source.pick(starts.slice(0, -1)) : source.int(length);
    const ends = starts.filter((start) => start > from);
    const to = source.chance(0.5) ? source.pick(ends) : Math.min(from + size, length);
    const descriptor = fs.openSync(join(path, name), 'r+');
    fs.writeSync(descriptor, Buffer.alloc(to - from), 0, to - from, from);
    fs.closeSync(descriptor);
    bytes += length;
    intact.push(...items.filter((_, index) => (starts[index + 1] ?? 0) <= from || (starts[index] ?? 0) >= to));
  }
  return { intact, bytes };
}

function quarantined(path: string): number {
  const folder = join(path, 'quarantine');
  return fs.readdirSync(folder).reduce((sum, name) => sum + fs.statSync(join(folder, name)).size, 0);
}

/** Bytes of the lines that came back, and of those that are in quarantine. */
function kept(path: string, integrity: Integrity, got: readonly number[]): number {
  const lines = got.map((item) => Buffer.byteLength(lineOf(text(item), integrity)));
  return lines.reduce((sum, length) => sum + length, 0) + quarantined(path);
}

describe.each(LEVELS)('durability %s, integrity %s', (durability, integrity) => {
  test(`G9, G10, G17: ${FILES} holes in files that wait cost the lines they touch, and their bytes are in quarantine`, async () => {
    const path = directory();
    const { batcher, delivered } = life(path, options(durability, integrity));
    batcher.pause();
    for (let item = 0; item < FILES * SIZE; item++) await batcher.syncAddItem(item);
    await sealed(path);
    const { intact, bytes } = punch(path, integrity);
    batcher.resume();
    await batcher.flush({ timeout: 30_000 }).catch(() => undefined); // rejects with the batches of which nothing is left
    const got = delivered();
    expect(got).toEqual(expect.arrayContaining(intact));
    expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
    expect(kept(path, integrity, got)).toBe(bytes);
    const { spool } = batcher.state;
    expect(spool).toMatchObject({ added: FILES * SIZE, pending: 0, delivered: got.length, refused: 0, dropped: 0 });
    expect(spool.quarantined + spool.lost).toBe(FILES * SIZE - got.length);
    await batcher.close();
  });

  test(`G9, G10: ${FILES} holes that a start finds cost the same`, async () => {
    const path = directory();
    const before = life(path, options(durability, integrity));
    before.batcher.pause();
    for (let item = 0; item < FILES * SIZE; item++) await before.batcher.syncAddItem(item);
    await before.batcher.close({ flush: false });
    const { intact, bytes } = punch(path, integrity);
    const { batcher, delivered } = life(path, options(durability, integrity));
    const { items } = await batcher.open();
    await batcher.flush();
    const got = delivered();
    expect(got).toEqual(expect.arrayContaining(intact));
    expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
    expect(items).toBe(got.length);
    expect(kept(path, integrity, got)).toBe(bytes);
    await batcher.close();
  });
});

/** Only the newest file has a descriptor. */
async function sealed(path: string): Promise<void> {
  const isOpen = (descriptor: string): boolean => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${descriptor}`);
      return target.startsWith(path) && target.endsWith('.batch');
    } catch {
      return false;
    }
  };
  while (fs.readdirSync('/proc/self/fd').filter(isOpen).length > 1) {
    await new Promise((resolve) => setTimeout(resolve, 2)); // real files take real time
  }
}

/** The real files; `synced` resolves when the first of them is on the disk. */
function notingSyncs(): { files: FileSystem; synced: Promise<void> } {
  let done = (): void => undefined;
  const synced = new Promise<void>((resolve) => {
    done = resolve;
  });
  const create = (path: string): OpenFile => {
    const file = nodeFileSystem.create(path);
    const sync = file.sync.bind(file);
    file.sync = () => sync().then(done);
    return file;
  };
  return { files: { ...nodeFileSystem, create }, synced };
}

test('a file that was cut by a newline is rescued without gluing two lines together', async () => {
  const path = directory();
  const clock = new TestClock();
  const { files, synced } = notingSyncs();
  const { batcher, delivered } = life(path, { clock }, files);
  const rescued: number[] = [];
  batcher.on('rescued', ({ size }) => rescued.push(size));
  for (const item of [1, 2, 3]) await batcher.syncAddItem(item);
  const [file] = filesIn(path);
  await clock.advance(1000);
  await synced; // what is synced is read back
  await settled();
  for (const item of [4, 5]) await batcher.syncAddItem(item); // these are in memory still
  fs.truncateSync(join(path, file?.name ?? ''), (file?.text.length ?? 1) - 1);
  await batcher.flush();
  expect(rescued).toEqual([5]);
  expect(delivered()).toEqual([1, 2, 3, 4, 5]);
  expect(batcher.state.spool).toMatchObject({ added: 5, delivered: 5, lost: 0 });
  await batcher.close();
});

test.each([
  ['none', ['1', '2'], 1], // nothing is synced, and nothing kept in memory
  ['batch', ['1', '2', '3'], 0], // not synced yet: written again from memory
  ['item', ['1', '2'], 1],
] as const)(
  'a file that is cut before it is sealed (%s) has whole lines only when the sink sees it: %j of 3',
  async (durability, left, lost) => {
    const path = directory();
    const got: { size: number; lines: string[] }[] = [];
    const { batcher } = life(path, {
      durability,
      clock: new TestClock(), // no interval ends meanwhile
      batchFlush: ({ size, filename }) => {
        const lines = fs.readFileSync(filename, 'utf8').split('\n').slice(0, -1);
        got.push({ size, lines: lines.map((line) => line.trimEnd()) });
      },
    });
    for (const item of [1, 2, 3]) await batcher.syncAddItem(item);
    const [file] = filesIn(path);
    fs.truncateSync(join(path, file?.name ?? ''), (file?.text.length ?? 5) - 5);
    await batcher.close();
    expect(got).toEqual([{ size: left.length, lines: left }]);
    expect(batcher.state.spool).toMatchObject({ added: 3, delivered: left.length, lost, pending: 0 });
  },
);
