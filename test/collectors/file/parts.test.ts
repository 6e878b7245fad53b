import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClearedError, PartialFlushError, TooLargeError } from 'batch-please';
import { FileBatcher, type FileBatch, type FileBatcherOptions } from '../../../collectors/file-batcher.js';
import { gate } from '../../../src/testing.js';
import { expectSoon } from '../../support/soon.js';
import { directory, failure, filesIn, life, removeDirectories, traced } from '../../support/spool.js';

afterEach(removeDirectories);

type Sink = (items: number[], id: string, attempt: number) => void;

/** A batcher whose sink gets the items of each batch. */
function collector(path: string, sink: Sink, options: Partial<FileBatcherOptions<number>> = {}): FileBatcher<number> {
  return new FileBatcher<number>({
    batchDirectory: path,
    retry: { minDelay: 1, maxDelay: 1 },
    unref: true,
    batchFlush: async (batch, { id, attempt }) => {
      sink(await read(batch), id, attempt);
    },
    ...options,
  });
}

async function read(batch: FileBatch<number>): Promise<number[]> {
  const items: number[] = [];
  for await (const item of batch.items()) items.push(item);
  return items;
}

function texts(path: string): string[] {
  return filesIn(path).map(({ text }) => text.replace(/[ \t]+$/gm, ''));
}

test.each(['none', 'batch', 'item'] as const)(
  'a batch that fails in part: what failed is a file of its own before the old one goes (%s)',
  async (durability) => {
    const path = directory();
    const seen: [number[], string, number][] = [];
    const batcher = collector(
      path,
      (items, id, attempt) => {
        seen.push([items, id, attempt]);
        const errors = items.map((item) => (item === 2 && seen.length < 3 ? new Error('not now') : undefined));
        if (errors.some((error) => error !== undefined)) throw new PartialFlushError(errors);
      },
      { durability },
    );
    batcher.on('failed', () => undefined);
    batcher.addItems([1, 2, 3]);
    await batcher.flush();
    expect(seen.map(([items, , attempt]) => [items, attempt])).toEqual([
      [[1, 2, 3], 1],
      [[2], 2],
      [[2], 3],
    ]);
    expect(seen[1]?.[1]).toBe(`${seen[0]?.[1] ?? ''}/1`);
    expect(batcher.state.spool).toMatchObject({
      added: 3,
      delivered: 3,
      lost: 0,
      quarantined: 0,
      pending: 0,
      bytes: 0,
    });
    expect(filesIn(path)).toEqual([]);
    await batcher.close();
  },
);

test('attempts of a part are carried on across restarts, and its id is the same', async () => {
  const path = directory();
  const ids: [string, number[]][] = [];
  const first = collector(
    path,
    (items, id) => {
      ids.push([id, items]);
      throw new PartialFlushError([[items.length - 1, new Error('bad')]]);
    },
    { retry: { minDelay: 100_000, maxDelay: 100_000 } },
  );
  for (const event of ['failed', 'closed'] as const) first.on(event, () => undefined);
  first.addItems([1, 2]);
  await first.flush({ timeout: 300 }).catch(() => undefined);
  // A slow disk may still be at the first attempt.
  await expectSoon(() => Promise.resolve(texts(path).join() === '2\n' && first.state.inFlight.batches === 0));
  await first.close({ flush: false });
  expect(texts(path)).toEqual(['2\n']);
  expect(filesIn(path)[0]?.name).toMatch(/\.1-[12]-line1\.batch$/);
  const second = collector(path, (items, id) => {
    ids.push([id, items]);
  });
  await second.open();
  await second.close();
  expect(ids.at(-1)).toEqual([`${ids[0]?.[0] ?? ''}/1`, [2]]);
});

test('a batch that is too large is halved, on the disk as well, until its parts fit', async () => {
  const path = directory();
  const seen: number[][] = [];
  const batcher = collector(path, (items) => {
    if (items.length > 2) throw new TooLargeError();
    seen.push(items);
  });
  batcher.on('failed', () => undefined);
  batcher.addItems([1, 2, 3, 4, 5, 6, 7]);
  await batcher.flush();
  expect(seen.flat()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(batcher.state.spool).toMatchObject({ added: 7, delivered: 7, pending: 0, bytes: 0 });
  expect(filesIn(path)).toEqual([]);
  await batcher.close();
});

test('a poisoned item is isolated, and only its file goes to dead/', async () => {
  const path = directory();
  const seen: number[] = [];
  const batcher = collector(
    path,
    (items) => {
      if (items.includes(3)) throw new Error('poison');
      seen.push(...items);
    },
    { giveUp: 'split', retry: { attempts: 1 } },
  );
  for (const event of ['failed', 'dropped', 'dead', 'held', 'lost'] as const) batcher.on(event, () => undefined);
  batcher.addItems([1, 2, 3, 4]);
  await batcher.flush({ timeout: 45_000 }).catch(() => undefined);
  await batcher.close();
  expect(seen.sort()).toEqual([1, 2, 4]);
  const [dead = ''] = readdirSync(join(path, 'dead'));
  expect(readFileSync(join(path, 'dead', dead), 'utf8').trim()).toBe('3');
  expect(batcher.state.spool).toMatchObject({ added: 4, delivered: 3, dead: 1, dropped: 0, pending: 0 });
});

test('cleared batches are handed back, and are not delivered by the next open', async () => {
  const path = directory();
  const delivered: number[] = [];
  const batcher = collector(
    path,
    () => {
      throw new Error('down');
    },
    { maxBatchSize: 2, retry: { minDelay: 100_000 } },
  );
  batcher.on('failed', () => undefined);
  const told: unknown[] = [];
  for (const item of [1, 2, 3]) batcher.deliverItem(item).catch((error: unknown) => told.push(error));
  await batcher.syncAddItem(4);
  await batcher.flush({ timeout: 50 }).catch(() => undefined);
  // A slow disk may still be at the first attempt.
  while (batcher.state.inFlight.batches > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  const batches = batcher.clear();
  expect((await Promise.all(batches.map(read))).flat()).toEqual([1, 2, 3, 4]);
  expect(told).toHaveLength(3);
  expect(told.every((error) => error instanceof ClearedError)).toBe(true);
  expect(batcher.state.spool).toMatchObject({ added: 4, returned: 4, pending: 0 });
  await batcher.close();
  const second = collector(path, (items) => delivered.push(...items));
  await second.open();
  await second.close();
  expect(delivered).toEqual([]);
});

test('a kill between the file of a part and the removal of the whole: a later part gets another number, and replaces nothing (G19)', async () => {
  const path = directory();
  let whole: { name: string; text: string } | undefined;
  const first = life(path, {
    maxBatchSize: 4,
    retry: { minDelay: 1, maxDelay: 100_000, factor: 100_000 },
    batchFlush: ({ size }) => {
      if (size === 4) {
        whole = filesIn(path)[0];
        throw new PartialFlushError([[3, new Error('not this one')]]);
      }
      throw new Error('down');
    },
  });
  for (let item = 0; item < 4; item++) await first.batcher.syncAddItem(item);
  while (!filesIn(path).some(({ name }) => /\.1-2-line1/.test(name))) await new Promise((done) => setTimeout(done, 2)); // real files
  await first.batcher.close({ flush: false });
  writeFileSync(join(path, whole?.name ?? ''), whole?.text ?? '', { mode: 0o600 });

  const contents = new Map<string, Set<string>>();
  const got = new Set<number>();
  const second = life(path, {
    retry: { minDelay: 1, maxDelay: 1 },
    batchFlush: async (batch, { id }) => {
      const items: number[] = [];
      for await (const item of batch.items()) items.push(item);
      contents.set(id, (contents.get(id) ?? new Set()).add(items.join()));
      if (items.length === 4) throw new PartialFlushError([[0, new Error('nor this one')]]);
      for (const item of items) got.add(item);
    },
  });
  await second.batcher.open();
  await second.batcher.flush();
  await second.batcher.close();
  expect([...got].sort()).toEqual([0, 3]);
  for (const [id, all] of contents) expect([id, [...all]]).toEqual([id, [[...all][0]]]);
});

// The drop comes before the part has its file, while the disk writes that, or while it writes its name.
test.each(['create', 'sync', 'syncDirectory'] as const)(
  'a part that is dropped at the %s of its file: the file of the whole is removed, and nothing is delivered again (G8)',
  async (call) => {
    const path = directory();
    const { files, trace } = traced();
    const disk = gate<[], undefined>();
    let slow = false;
    let reached = false;
    trace.fault = (name) => {
      if (!slow || name !== call) return;
      reached = true;
      if (call === 'create') throw failure('ENOSPC');
    };
    trace.wait = (name) => (slow && name === call ? disk() : undefined);
    const first = life(
      path,
      {
        maxBatchSize: 3,
        maxPending: 3,
        overflow: 'dropOldest',
        retry: { minDelay: 100_000 },
        batchFlush: () => {
          if (reached) return;
          slow = true;
          throw new PartialFlushError([[1, new Error('not now')]]);
        },
      },
      files,
    );
    await Promise.all([0, 1, 2].map((item) => first.batcher.syncAddItem(item)));
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the fault changes it
    while (!reached) await new Promise(setImmediate); // real files
    const added = [10, 11, 12].map((item) => first.batcher.syncAddItem(item));
    expect(first.batcher.state.spool.dropped).toBe(1);
    slow = false;
    disk.openAll();
    await Promise.all(added);
    await first.batcher.flush();
    await first.batcher.close();
    expect(first.batcher.state.spool).toMatchObject({ added: 6, delivered: 5, dropped: 1, pending: 0, bytes: 0 });
    expect(filesIn(path)).toEqual([]);
  },
);

test.each([
  ['a part', new PartialFlushError([[1, new Error('not now')]]), { delivered: 2, lost: 1 }],
  ['what is left of a batch that was halved', new TooLargeError(), { delivered: 0, lost: 3 }],
])(
  '%s has no file of its own yet, and that of the whole is removed: it is lost once, and fails no more (G17)',
  async (_, error, counts) => {
    const path = directory();
    const { files, trace } = traced();
    let attempts = 0;
    let failures = 0;
    let lost = 0;
    const { batcher } = life(
      path,
      {
        maxBatchSize: 3,
        retry: { minDelay: 1, maxDelay: 1 },
        batchFlush: () => {
          if (attempts++ > 0) return;
          trace.fault = (call) => {
            if (call === 'create') throw failure('ENOSPC');
          };
          throw error;
        },
      },
      files,
    );
    batcher.on('lost', ({ items }) => (lost += items));
    batcher.on('failed', () => {
      if (++failures !== 3) return;
      trace.fault = () => undefined;
      for (const { name } of filesIn(path)) rmSync(join(path, name));
    });
    await Promise.all([0, 1, 2].map((item) => batcher.syncAddItem(item)));
    for (let rejected = true; rejected;)
      rejected = await batcher.flush().then(
        () => false,
        () => true,
      );
    expect(lost).toBe(counts.lost);
    expect(failures).toBeLessThan(10);
    expect(batcher.state.spool).toMatchObject({ added: 3, dropped: 0, pending: 0, bytes: 0, ...counts });
    await batcher.close();
  },
);

test('what is left of a halved batch is written, and then the directory is not synced: it is not cut again (G1)', async () => {
  const path = directory();
  const { files, trace } = traced();
  const got: number[] = [];
  let calls = 0;
  const { batcher } = life(
    path,
    {
      maxBatchSize: 4,
      retry: { minDelay: 1, maxDelay: 1 },
      batchFlush: async (batch) => {
        const items = await read(batch);
        if (items.length < 4) {
          got.push(...items);
          return;
        }
        // From now on every second one fails.
        trace.fault = (name) => {
          if (name === 'syncDirectory' && calls++ % 2 === 0 && calls < 12) throw failure('EIO');
        };
        throw new TooLargeError();
      },
    },
    files,
  );
  await Promise.all([0, 1, 2, 3].map((item) => batcher.syncAddItem(item)));
  await batcher.flush();
  await batcher.close();
  expect(got.sort()).toEqual([0, 1, 2, 3]);
  expect(batcher.state.spool).toMatchObject({ added: 4, delivered: 4, lost: 0, pending: 0, bytes: 0 });
});

test('close() leaves each part of a batch in one file only: nothing is delivered again (G8)', async () => {
  const path = directory();
  let sinks = 0;
  const first = life(path, {
    maxBatchSize: 4,
    retry: { attempts: 1 },
    giveUp: 'split',
    batchFlush: async (batch) => {
      if (sinks++ === 2) void first.batcher.close({ flush: false });
      await read(batch);
      throw new Error('down');
    },
  });
  await Promise.all([0, 1, 2, 3].map((item) => first.batcher.syncAddItem(item)));
  await first.batcher.flush().catch(() => undefined);
  await first.batcher.close();
  const second = life(path);
  await second.batcher.open();
  await second.batcher.flush();
  await second.batcher.close();
  expect(second.delivered().sort()).toEqual([0, 1, 2, 3]);
});

test('a part could not be written when it was split off: close() writes it, and nothing is delivered again (G8)', async () => {
  const path = directory();
  const { files, trace } = traced();
  let refused = 0;
  const first = life(
    path,
    {
      maxBatchSize: 3,
      retry: { minDelay: 100_000 },
      batchFlush: () => {
        trace.fault = (name) => {
          if (name !== 'create') return;
          refused++;
          throw failure('ENOSPC');
        };
        throw new PartialFlushError([[1, new Error('not now')]]);
      },
    },
    files,
  );
  await Promise.all([0, 1, 2].map((item) => first.batcher.syncAddItem(item)));
  while (refused === 0) await new Promise(setImmediate); // real files
  trace.fault = () => undefined;
  await first.batcher.close({ flush: false });
  const second = life(path);
  await second.batcher.open();
  await second.batcher.flush();
  await second.batcher.close();
  expect(second.delivered()).toEqual([1]);
});

test('the id of each part is that of its file (G8)', async () => {
  const path = directory();
  const ids: [string, string, number][] = [];
  const { batcher } = life(path, {
    maxBatchSize: 3,
    batchFlush: (batch, { id }) => {
      ids.push([id, batch.id, batch.size]);
      if (batch.size > 1) throw new TooLargeError();
    },
  });
  await Promise.all([0, 1, 2].map((item) => batcher.syncAddItem(item)));
  await batcher.flush();
  await batcher.close();
  for (const [id, own] of ids) expect(own).toBe(id);
  const delivered = ids.filter(([, , size]) => size === 1).map(([id]) => id);
  expect(new Set(delivered).size).toBe(3);
});

test('the last attempt of maxAttempts fails in part: only what failed is in dead/', async () => {
  const path = directory();
  const { batcher } = life(path, {
    maxBatchSize: 3,
    maxAttempts: 1,
    batchFlush: () => {
      throw new PartialFlushError([[1, new Error('bad')]]);
    },
  });
  const [a, b, c] = [0, 1, 2].map((item) => batcher.deliverItem(item));
  await expect(a).resolves.toBeUndefined();
  await expect(b).rejects.toThrow('bad');
  await expect(c).resolves.toBeUndefined();
  await batcher.close();
  const [dead = ''] = readdirSync(join(path, 'dead'));
  expect(readFileSync(join(path, 'dead', dead), 'utf8').trim()).toMatch(/^1\s*\S*$/);
  expect(batcher.state.spool).toMatchObject({ added: 3, delivered: 2, dead: 1, pending: 0 });
});

test('a batch that fails in part 21 times is found again by the next process', async () => {
  const path = directory();
  const first = life(path, {
    maxBatchSize: 60,
    retry: { minDelay: 1, maxDelay: 1 },
    batchFlush: ({ size }) => {
      if (size === 39) throw new Error('down');
      throw new PartialFlushError(Array.from({ length: size - 1 }, (_, index) => [index + 1, new Error('later')]));
    },
  });
  for (let item = 0; item < 60; item++) first.batcher.addItem(item);
  await new Promise<void>((resolve) => {
    first.batcher.on('failed', ({ size, error }) => {
      if (size === 39 && (error as Error).message === 'down') resolve();
    });
  });
  await first.batcher.close({ flush: false });
  const second = life(path);
  const report = await second.batcher.open();
  await second.batcher.close();
  expect(report).toMatchObject({ files: 1, items: 39, unreadableFiles: 0 });
  expect(second.delivered()).toEqual(Array.from({ length: 39 }, (_, index) => index + 21));
});

test('a batch fails in part, and some items are never tried again: the file of those has them, however long batchPostFlush takes', async () => {
  const path = directory();
  const posted = gate();
  const seen: number[][] = [];
  const batcher = collector(
    path,
    (items) => {
      seen.push(items);
      const error = (text: string): Error => new Error(text);
      if (seen.length === 1)
        throw new PartialFlushError([
          [1, error('later')],
          [2, error('never')],
          [4, error('later')],
        ]);
    },
    {
      maxBatchSize: 6,
      giveUp: 'drop',
      retry: { delay: ({ error }) => (String(error) === 'Error: never' ? false : 1) },
      batchPostFlush: posted,
    },
  );
  for (const event of ['failed', 'dropped', 'dead'] as const) batcher.on(event, () => undefined);
  batcher.addItems([0, 1, 2, 3, 4, 5]);
  await expectSoon(() => Promise.resolve(texts(path).includes('0\n3\n5\n')), 10_000); // what is left of the whole is written anew
  posted.openAll();
  await batcher.flush().catch(() => undefined);
  await batcher.close();
  expect(seen).toEqual([
    [0, 1, 2, 3, 4, 5],
    [1, 4],
  ]);
  const [dead = ''] = readdirSync(join(path, 'dead'));
  expect(readFileSync(join(path, 'dead', dead), 'utf8').trim()).toBe('2');
});
