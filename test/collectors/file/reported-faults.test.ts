// Faults that users' cases have found, each named after what went wrong, on the real file system.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { ClosedError, LockedError, StorageError } from 'batch-please';
import type { FileBatcherOptions, SpoolCounts } from '../../../collectors/file-batcher.js';
import { cost } from '../../support/cost.js';
import { directory, filesIn, life, removeDirectories } from '../../support/spool.js';

afterEach(removeDirectories);

const later = { retry: { minDelay: 100_000, maxDelay: 100_000 } };
const soon = { retry: { minDelay: 1, maxDelay: 1 } };

function balanced({
  added,
  delivered,
  refused,
  dropped,
  quarantined,
  dead,
  lost,
  returned,
  pending,
}: SpoolCounts): void {
  expect(delivered + refused + dropped + quarantined + dead + lost + returned + pending).toBe(added);
}

function descriptors(path: string): number {
  return fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;
}

/** Milliseconds: three hundred times what it takes, and so little that all tests end where the condition never holds. */
const PATIENCE = 45_000;

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > end) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 2)); // real files take real time
  }
}

/** A batcher whose sink fails until `up` is called. */
function outage(path: string, options: Partial<FileBatcherOptions<number>> = {}) {
  const got: number[] = [];
  let down = true;
  const { batcher } = life(path, {
    ...soon,
    batchFlush: async (batch) => {
      if (down) throw new Error('down');
      for await (const item of batch.items()) got.push(item);
    },
    ...options,
  });
  return { batcher, got, up: () => void (down = false) };
}

test.each(['none', 'batch', 'item'] as const)(
  'G16: batches that wait for a sink that is down hold no descriptor (%s)',
  async (durability) => {
    const path = directory();
    const { batcher, got, up } = outage(path, { durability, maxBatchSize: 2 });
    for (let item = 0; item < 200; item++) await batcher.syncAddItem(item);
    await until(() => descriptors(path) <= 2);
    expect(filesIn(path).length).toBe(100);
    up();
    await batcher.flush();
    expect(got).toEqual(Array.from({ length: 200 }, (_, item) => item));
    balanced(batcher.state.spool);
    await batcher.close();
    expect(descriptors(path)).toBe(0);
  },
);

type Damage = [name: string, act: (path: string, directory: string) => void, most: number];
const damages: Damage[] = [
  ['shortened', (path) => fs.truncateSync(path, 100), 10],
  ['emptied', (path) => fs.truncateSync(path, 0), 10],
  ['holed', (path) => write(path, Buffer.alloc(50), 40), 3],
  ['overwritten in one byte', (path) => write(path, Buffer.from('#'), 0), 1],
  [
    'replaced by a copy',
    (path) => {
      fs.copyFileSync(path, `${path}.x`);
      fs.renameSync(`${path}.x`, path);
    },
    0,
  ],
  ['renamed', (path) => fs.renameSync(path, `${path}.moved`), 10],
  ['deleted', (path) => fs.rmSync(path), 10],
  [
    'replaced by a directory',
    (path) => {
      fs.rmSync(path);
      fs.mkdirSync(path);
    },
    10,
  ],
  [
    'replaced by a link to nowhere',
    (path) => {
      fs.rmSync(path);
      fs.symlinkSync(`${path}.none`, path);
    },
    10,
  ],
];

function write(path: string, bytes: Buffer, at: number): void {
  const file = fs.openSync(path, 'r+');
  fs.writeSync(file, bytes, 0, bytes.length, at);
  fs.closeSync(file);
}

describe.each(['none', 'batch', 'item'] as const)('G17: durability %s', (durability) => {
  test.each(damages)('a sealed file that is %s costs what it touches, once', async (_name, act, most) => {
    const path = directory();
    const { batcher, got, up } = outage(path, { durability, maxBatchSize: 10 });
    for (let item = 0; item < 30; item++) await batcher.syncAddItem(item);
    await until(() => descriptors(path) <= 1);
    batcher.pause();
    await until(() => batcher.state.inFlight.batches === 0);
    act(join(path, filesIn(path)[0]?.name ?? ''), path);
    up();
    batcher.resume();
    await batcher.flush({ timeout: 10_000 }).catch(() => undefined); // rejects with a batch of which nothing is left
    await until(() => batcher.state.pending === 0);
    expect(new Set(got).size).toBe(got.length);
    expect(got.filter((item) => item >= 10)).toEqual(Array.from({ length: 20 }, (_, item) => item + 10));
    expect(got.length).toBeGreaterThanOrEqual(30 - most);
    const { spool } = batcher.state;
    expect(spool.delivered).toBe(got.length);
    expect(spool.lost + spool.quarantined).toBe(30 - got.length);
    expect(spool).toMatchObject({ added: 30, pending: 0 });
    await batcher.close();
  });

  test.each(damages)('an open file that is %s goes on taking items', async (_name, act, most) => {
    const path = directory();
    const { batcher, delivered } = life(path, { durability });
    for (let item = 0; item < 10; item++) await batcher.syncAddItem(item);
    act(join(path, filesIn(path)[0]?.name ?? ''), path);
    for (let item = 10; item < 15; item++) await batcher.syncAddItem(item);
    await batcher.flush();
    const got = delivered();
    expect(got.filter((item) => item >= 10)).toEqual([10, 11, 12, 13, 14]);
    expect(new Set(got).size).toBe(got.length);
    const { spool } = batcher.state;
    expect(spool.delivered).toBe(got.length);
    const named = /^(renamed|deleted|replaced by a (directory|link))/.test(_name);
    expect(got.length).toBeGreaterThanOrEqual(named ? 15 : 15 - most); // the descriptor leads to it still
    balanced(spool);
    await batcher.close();
  });

  test.each([false, true])(
    'a directory that is renamed (a new one in its place: %p) loses nothing',
    async (replaced) => {
      const path = join(directory(), 'spool');
      const { batcher, delivered } = life(path, { durability });
      for (let item = 0; item < 5; item++) await batcher.syncAddItem(item);
      fs.renameSync(path, `${path}-old`);
      if (replaced) fs.mkdirSync(path);
      for (let item = 5; item < 10; item++) await batcher.syncAddItem(item);
      await batcher.close();
      expect(delivered()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      balanced(batcher.state.spool);
    },
  );
});

test('G17: an open file is delivered although its directory was removed, and none can be made in its place', async () => {
  const path = join(directory(), 'spool');
  const { batcher, delivered } = life(path, soon);
  for (let item = 0; item < 5; item++) await batcher.syncAddItem(item);
  fs.rmSync(path, { recursive: true });
  fs.writeFileSync(path, 'in its way');
  await expect(batcher.syncAddItem(5)).rejects.toThrow(StorageError);
  await batcher.flush({ timeout: PATIENCE });
  expect(delivered()).toEqual([0, 1, 2, 3, 4]);
  balanced(batcher.state.spool);
  await batcher.close();
  expect(descriptors(path)).toBe(0);
});

test('G17: a sealed file that was damaged is mended before the sink sees it: 9 of 10 lines, for those who read it by name', async () => {
  const path = directory();
  const got: { size: number; lines: string[] }[] = [];
  const { batcher } = life(path, {
    maxBatchSize: 10,
    batchFlush: ({ size, filename }) => {
      const lines = fs.readFileSync(filename, 'utf8').split('\n').slice(0, -1);
      got.push({ size, lines: lines.map((line) => line.trimEnd()) });
    },
  });
  batcher.pause();
  for (let item = 0; item < 10; item++) await batcher.syncAddItem(item);
  await batcher.syncAddItem(10);
  await until(() => descriptors(path) <= 1); // the first file is sealed
  write(join(path, filesIn(path)[0]?.name ?? ''), Buffer.from('#'), 0);
  batcher.resume();
  await batcher.close();
  expect(got[0]).toEqual({ size: 9, lines: ['1', '2', '3', '4', '5', '6', '7', '8', '9'] });
  expect(batcher.state.spool).toMatchObject({ added: 11, delivered: 10, quarantined: 1, pending: 0 });
});

test('G20: an owner whose lock was removed acknowledges nothing once another process has the directory', async () => {
  const path = directory();
  const { batcher, delivered } = life(path);
  const told: unknown[] = [];
  batcher.on('unowned', ({ error }) => told.push(error));
  await batcher.syncAddItem(1);
  for (const name of fs.readdirSync(path)) if (name.startsWith('lock.')) fs.rmSync(join(path, name));
  const other = life(path);
  await other.batcher.open();
  await expect(batcher.syncAddItem(2)).rejects.toBeInstanceOf(LockedError);
  expect(told).toHaveLength(1);
  await batcher.close({ timeout: 50 }).catch(() => undefined);
  await other.batcher.close();
  expect([delivered(), other.delivered()]).toEqual([[], [1]]);
});

test('G19: two files of one name get two ids, and dead/ keeps both', async () => {
  const path = directory();
  const ids: string[] = [];
  for (const day of [1, 2]) {
    fs.writeFileSync(join(path, 'orders.batch'), `{"day":${day}}\n`);
    const { batcher } = life<object>(path, {
      maxAttempts: 1,
      giveUp: 'drop',
      retry: false,
      batchFlush: (_batch, { id }) => {
        ids.push(id);
        throw new Error('down');
      },
    });
    await batcher.open();
    await batcher.flush().catch(() => undefined);
    await batcher.close().catch(() => undefined);
  }
  expect(new Set(ids).size).toBe(2);
  const dead = fs.readdirSync(join(path, 'dead')).map((name) => fs.readFileSync(join(path, 'dead', name), 'utf8'));
  expect(dead.sort()).toEqual(['{"day":1}\n', '{"day":2}\n']);
});

test('G21: a file of a newer format, and an unknown name, are left alone and reported', async () => {
  const path = directory();
  const names = ['000000000000001-0123456789abcdef-0-line2.batch', 'a b.batch', 'é.batch', '-x.batch'];
  for (const name of names) fs.writeFileSync(join(path, name), '1\n');
  const { batcher, delivered } = life(path);
  expect(await batcher.open()).toMatchObject({ files: 0, unreadableFiles: 4 });
  await batcher.close();
  expect(delivered()).toEqual([]);
  expect(fs.readdirSync(path)).toEqual(expect.arrayContaining(names));
});

test('a sink that hangs leaves no descriptor behind with each attempt that times out', async () => {
  const path = directory();
  let attempts = 0;
  const { batcher } = life(path, {
    ...soon,
    flushTimeout: 300,
    batchFlush: async (batch) => {
      attempts++;
      for await (const _ of batch.items()) await new Promise(() => undefined);
    },
  });
  await batcher.syncAddItem(1);
  batcher.flush().catch(() => undefined);
  await until(() => attempts > 3);
  expect(descriptors(path)).toBeLessThanOrEqual(2);
  await batcher.close({ timeout: 10 }).catch(() => undefined);
});

test('items that close({ flush: false }) leaves behind are said to be stored, and are pending', async () => {
  const path = directory();
  const { batcher } = life(path, later);
  const delivered = batcher.deliverItem(1).catch((error: unknown) => error);
  const closed = batcher.close({ flush: false });
  const error = await delivered;
  expect(error).toBeInstanceOf(ClosedError);
  expect((error as ClosedError).stored).toBe(true);
  await closed;
  expect(batcher.state.spool).toMatchObject({ added: 1, refused: 0, pending: 1 });
  const second = life(path);
  await second.batcher.open();
  await second.batcher.close();
  expect(second.delivered()).toEqual([1]);
});

test('dead/ that was emptied by hand makes room', async () => {
  const path = directory();
  const { batcher, up } = outage(path, { maxBytes: 300, maxAttempts: 1, maxBatchSize: 4, overflow: 'reject' });
  while (
    await batcher.syncAddItem(1).then(
      () => true,
      () => false,
    )
  );
  await until(() => batcher.state.pending === 0);
  up();
  fs.rmSync(join(path, 'dead'), { recursive: true });
  batcher.syncAddItem(2).catch(() => undefined);
  await until(() => batcher.state.spool.bytes < 200);
  await batcher.syncAddItem(3);
  await batcher.close();
});

test.each([false, true])(
  "'dropOldest': of 100 adds at once with a sink that is down none waits for ever (after open: %p)",
  async (opened) => {
    const { batcher } = outage(directory(), { maxBytes: 1000, maxBatchSize: 5, overflow: 'dropOldest' });
    if (opened) await batcher.open();
    await Promise.all(Array.from({ length: 100 }, (_, item) => batcher.syncAddItem(item)));
    const { spool } = batcher.state;
    expect(spool).toMatchObject({ added: 100, refused: 0 });
    expect(spool.dropped).toBeGreaterThan(50);
    balanced(spool);
    await batcher.close({ flush: false });
  },
);

test('a sparse file costs neither time nor disk in proportion to its size', async () => {
  const path = directory();
  const name = join(path, '000000000000001-0000000000000001-0-line1.batch');
  fs.writeFileSync(name, '');
  fs.truncateSync(name, 2_000_000_000);
  const { batcher } = life(path, { maxBytes: 1_000_000, overflow: 'reject' });
  expect(await cost(() => batcher.open())).toBeLessThan(5000);
  await batcher.syncAddItem(1);
  expect(batcher.state.spool.bytes).toBeLessThan(1000);
  await batcher.close();
});

test('a last line without its newline is an item, where its checksum, or for a bare file decode, says so', async () => {
  const path = directory();
  const first = life(path);
  await first.batcher.syncAddItem(1);
  await first.batcher.syncAddItem(2);
  await first.batcher.close({ flush: false });
  const [file] = filesIn(path);
  fs.truncateSync(join(path, file?.name ?? ''), (file?.text.length ?? 1) - 1);
  fs.writeFileSync(join(path, 'bare.batch'), '3\n4');
  const second = life(path);
  await second.batcher.open();
  await second.batcher.close();
  expect(second.delivered()).toEqual([3, 4, 1, 2]);
});
