import { ClosedError, OverflowError } from 'batch-please';
import {
  type Numbers,
  bench,
  expectBalanced,
  flushedBy,
  settled,
  sink,
  warnings,
  watch,
} from '../support/collectors.js';

afterEach(() => jest.restoreAllMocks());

const verbs = ['syncAddItem', 'deliverItem'] as const;

describe("overflow: 'wait', the default", () => {
  test('addItem refuses with OverflowError, answers false and never throws; refused items are counted', () => {
    const { batcher } = bench({ maxPending: 2, batchFlush: sink() });
    const refused = jest.fn();
    const onError = jest.fn();
    batcher.on('refused', refused);
    expect([1, 2].map((item) => batcher.addItem(item))).toEqual([true, true]);
    expect(batcher.addItem(3, { onError })).toBe(false);
    expect(onError.mock.calls).toEqual([[expect.any(OverflowError)]]);
    expect(onError.mock.calls).toMatchObject([[{ code: 'ERR_BATCH_OVERFLOW', limit: 2, pending: 2 }]]);
    expect(refused.mock.calls).toEqual([[{ item: 3, error: expect.any(OverflowError) as unknown }]]);
    expect(batcher.state).toMatchObject({ pending: 2, counts: { totalItems: 3, refused: 1 } });
    expectBalanced(batcher);
  });

  test.each(verbs)('%s waits for room, in the order of the calls', async (verb) => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    const added = [1, 2, 3].map((item) => watch(batcher[verb](item)));
    await settled();
    expect(batcher.state.pending).toBe(1);
    flush.open();
    await settled();
    expect(added.map(({ state }) => state)).toEqual(['resolved', 'pending', 'pending']);
    expect(batcher.state.pending).toBe(1);
    flush.openAll();
    await settled();
    expect(added.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
    expect(flushedBy(flush)).toEqual([[1], [2], [3]]);
    expectBalanced(batcher);
  });

  test('waiting is a demand: 2 (demand) make room although no trigger is set', async () => {
    const { batcher, sizes } = bench({ maxPending: 2 });
    batcher.addItems([1, 2]);
    await batcher.syncAddItem(3);
    expect(sizes).toEqual(['2 (demand)']);
    expect(batcher.state.pending).toBe(1);
  });

  test('A11: a caller that waits for room hurries no batch that waits for its retry', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    flush.fail(new Error('no'));
    await settled();
    const waiting = watch(batcher.syncAddItem(2));
    await settled();
    expect([flush.calls.length, waiting.state]).toEqual([1, 'pending']);
    await clock.advance(100);
    expect(flush.calls).toHaveLength(2);
  });

  test.each(verbs)('A2: those who still wait demand again: 5 = 2+2+1 through a bound of 2 (%s)', async (verb) => {
    const { batcher } = bench({ maxPending: 2, batchFlush: () => settled() });
    const added = [1, 2, 3, 4, 5].map((item) => watch(batcher[verb](item)));
    for (let i = 0; i < 10; i++) await settled();
    // No caller waits behind 5, so no caller demands it.
    expect(added.slice(0, 4).map(({ state }) => state)).toEqual(Array(4).fill('resolved'));
    expect(batcher.state.batch).toEqual({ items: [5] });
    await batcher.flush();
    expectBalanced(batcher);
  });

  test('room that comes free goes to those who wait before a later addItem', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    batcher.on('refused', () => {});
    batcher.addItem(1);
    const waits = watch(batcher.deliverItem(2));
    flush.open();
    await settled();
    expect(batcher.addItem(3)).toBe(false);
    flush.open();
    await settled();
    expect(waits.state).toBe('resolved');
    expect(flushedBy(flush)).toEqual([[1], [2]]);
  });

  test('A8: close turns those who wait away with ClosedError', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    batcher.on('refused', () => {});
    batcher.addItem(1);
    const waits = watch(batcher.syncAddItem(2));
    const closed = batcher.close();
    flush.open();
    await closed;
    expect(waits.error).toBeInstanceOf(ClosedError);
    expectBalanced(batcher);
  });

  test('A5: 50 producers that outrun the sink: never more than maxPending', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 3, maxPending: 10, batchFlush: flush });
    let most = 0;
    const producer = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        await batcher.syncAddItem(i);
        most = Math.max(most, batcher.state.pending);
      }
    };
    const all = Promise.all(Array.from({ length: 50 }, producer));
    for (let i = 0; i < 1000 && flush.waiting > 0; i++) {
      flush.open();
      await settled();
      most = Math.max(most, batcher.state.pending);
    }
    flush.openAll();
    await batcher.flush();
    await all;
    await batcher.flush();
    expect(most).toBe(10);
    expect(batcher.state.counts).toMatchObject({ delivered: 1000, refused: 0 });
    expectBalanced(batcher);
  });
});

describe("overflow: 'reject'", () => {
  test('all verbs refuse with OverflowError', async () => {
    const { batcher } = bench({ maxPending: 1, overflow: 'reject', batchFlush: sink() });
    const refused = jest.fn();
    batcher.on('refused', refused);
    expect(batcher.addItem(1)).toBe(true);
    expect(batcher.addItem(2)).toBe(false);
    await expect(batcher.syncAddItem(3)).rejects.toBeInstanceOf(OverflowError);
    await expect(batcher.deliverItem(4)).rejects.toBeInstanceOf(OverflowError);
    expect(refused).toHaveBeenCalledTimes(3);
    expect(batcher.state).toMatchObject({ pending: 1, counts: { totalItems: 4, refused: 3, dropped: 0 } });
    expectBalanced(batcher);
  });
});

describe("overflow: 'dropNewest'", () => {
  test('drops the incoming item: counted and emitted as dropped, its promise rejected and onError called', async () => {
    const { batcher, batches } = bench({ maxPending: 2, overflow: 'dropNewest' });
    const dropped = jest.fn();
    const onError = jest.fn();
    batcher.on('dropped', dropped);
    batcher.addItems([1, 2]);
    expect(batcher.addItem(3, { onError })).toBe(false);
    await expect(batcher.deliverItem(4)).rejects.toBeInstanceOf(OverflowError);
    await expect(batcher.syncAddItem(5)).rejects.toBeInstanceOf(OverflowError);
    expect(onError).toHaveBeenCalledWith(expect.any(OverflowError));
    expect(dropped.mock.calls).toMatchObject(Array(3).fill([{ reason: 'overflow', size: 1 }]));
    expect(batcher.state.counts).toMatchObject({ totalItems: 5, dropped: 3, refused: 0 });
    await batcher.flush();
    expect(batches).toEqual([[1, 2]]);
    expectBalanced(batcher);
  });
});

describe("overflow: 'dropOldest'", () => {
  test('drops the oldest batch that is not in flight: of [1] in flight, [2] and [3], it is [2]', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 3, overflow: 'dropOldest', batchFlush: flush });
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    batcher.addItem(1);
    const second = watch(batcher.deliverItem(2));
    batcher.addItem(3);
    expect(batcher.addItem(4)).toBe(true);
    await settled();
    expect(dropped.mock.calls).toMatchObject([[{ reason: 'overflow', size: 1 }]]);
    expect(second.error).toBeInstanceOf(OverflowError);
    flush.openAll();
    await batcher.flush();
    expect(flushedBy(flush)).toEqual([[1], [3], [4]]);
    expect(batcher.state.counts).toMatchObject({ delivered: 3, dropped: 1 });
    expectBalanced(batcher);
  });

  test('the open batch is one, too: 2 dropped, 1 in', () => {
    const { batcher } = bench({ maxPending: 2, overflow: 'dropOldest' });
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    batcher.addItems([1, 2, 3]);
    expect(dropped.mock.calls).toMatchObject([[{ size: 2 }]]);
    expect(batcher.state.batch).toEqual({ items: [3] });
    expectBalanced(batcher);
  });

  test.each(['addItem', ...verbs] as const)(
    'an item for which %s made room was accepted after a listener had closed, and lost',
    async (verb) => {
      const { batcher, sizes } = bench({ maxPending: 2, overflow: 'dropOldest' });
      const ends: Promise<void>[] = [];
      batcher.on('dropped', () => ends.push(batcher.close()));
      batcher.on('refused', () => undefined);
      batcher.addItems([1, 2]);
      const added: unknown = batcher[verb](3);
      if (verb === 'addItem') expect(added).toBe(false);
      else await expect(added).rejects.toThrow(ClosedError);
      await Promise.all(ends);
      expect(sizes).toEqual([]);
      expect(batcher.state).toMatchObject({ pending: 0, counts: { totalItems: 3, dropped: 2, refused: 1 } });
      expectBalanced(batcher);
    },
  );

  test('and so is one that waits for its retry, or is held', async () => {
    for (const retry of [{}, false] as const) {
      const { batcher, sizes } = bench({
        maxBatchSize: 1,
        maxPending: 1,
        overflow: 'dropOldest',
        retry,
        batchFlush: ({ items }) => {
          if (items[0] === 1) throw new Error('no');
          sizes.push(String(items[0]));
        },
      });
      for (const event of ['failed', 'held', 'dropped'] as const) batcher.on(event, () => {});
      batcher.addItem(1);
      batcher.addItem(2);
      await settled();
      expect(sizes).toEqual(['2']);
      expect(batcher.state.counts).toMatchObject({ delivered: 1, dropped: 1 });
      expectBalanced(batcher);
    }
  });

  test("if all are in flight, addItem refuses, as with 'wait'", () => {
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, overflow: 'dropOldest', batchFlush: sink() });
    const refused = jest.fn();
    batcher.on('refused', refused);
    batcher.addItem(1);
    expect(batcher.addItem(2)).toBe(false);
    expect(refused.mock.calls).toMatchObject([[{ item: 2, error: { name: 'OverflowError' } }]]);
    expectBalanced(batcher);
  });

  test.each(verbs)("if all are in flight, %s waits for room, as with 'wait'", async (verb) => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, overflow: 'dropOldest', batchFlush: flush });
    batcher.on('refused', () => {});
    batcher.addItem(1);
    const waits = watch(batcher[verb](2));
    await settled();
    expect(waits.state).toBe('pending');
    flush.openAll();
    await settled();
    expect(waits.state).toBe('resolved');
  });

  test.each(verbs)('%s waits only while nothing can be dropped: until the batch in flight fails', async (verb) => {
    const flush = sink();
    const { clock, batcher } = bench({
      maxBatchSize: 2,
      maxPending: 2,
      overflow: 'dropOldest',
      retry: { minDelay: 1000 },
      batchFlush: flush,
    });
    for (const event of ['failed', 'dropped'] as const) batcher.on(event, () => {});
    batcher.addItems([1, 2]);
    for (const item of [3, 4, 5]) void batcher[verb](item);
    flush.fail(new Error('down'));
    await settled();
    // [1, 2] made room for 3 and 4, which are in flight; 5 waits.
    expect(flushedBy(flush)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    flush.fail(new Error('down'));
    await clock.advance(2000);
    expect(batcher.state.batch?.items).toEqual([5]);
    expect(batcher.state.counts).toMatchObject({ dropped: 4 });
    expectBalanced(batcher);
    batcher.clear();
  });

  test('items whose add hook was slow, and that could not be dropped, wait for nothing: 8 of 2 at a time, all stored', async () => {
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      maxPending: 2,
      overflow: 'dropOldest',
      batchAddItem: async (batch, item) => {
        await Promise.resolve();
        batch.items.push(item);
      },
      batchFlush: () => new Promise(() => {}),
    });
    batcher.on('dropped', () => {});
    const outcomes = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => watch(batcher.deliverItem(item)));
    await clock.advance(10);
    // One in flight, the newest behind it; the others gave way.
    expect(outcomes.map(({ state }) => state)).toEqual([
      'pending',
      ...Array.from({ length: 6 }, () => 'rejected'),
      'pending',
    ]);
    expect(batcher.state.counts.dropped).toBe(6);
    expectBalanced(batcher);
    batcher.clear();
  });

  test('a listener that adds again what was dropped does not drop without end', async () => {
    for (const verb of ['addItem', 'syncAddItem'] as const) {
      const flush = sink();
      const { clock, batcher } = bench({ maxBatchSize: 1, maxPending: 3, overflow: 'dropOldest', batchFlush: flush });
      batcher.on('refused', () => {});
      batcher.on('dropped', ({ batch }) => {
        for (const item of (batch as Numbers).items) void batcher[verb](item);
      });
      for (const item of [1, 2, 3, 4, 5, 6]) void batcher.syncAddItem(item);
      await clock.advance(10);
      expect(batcher.state.pending).toBeLessThanOrEqual(3);
      expectBalanced(batcher);
      flush.openAll();
      await clock.advance(10);
      expect(batcher.state.pending).toBe(0);
    }
  });

  test('an abort from a listener of the drop that was made for it leaves the item out', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, overflow: 'dropOldest', batchFlush: flush });
    const controller = new AbortController();
    batcher.on('failed', () => {});
    batcher.on('dropped', () => {
      controller.abort(new Error('left'));
    });
    batcher.addItem(1);
    const left = watch(batcher.syncAddItem(2, { signal: controller.signal }));
    const stays = watch(batcher.deliverItem(3));
    flush.fail(new Error('down'));
    await settled();
    expect(left).toMatchObject({ state: 'rejected', error: new Error('left') });
    flush.openAll();
    await settled();
    expect(stays.state).toBe('resolved');
    expect(flushedBy(flush)).toEqual([[1], [3]]);
    expectBalanced(batcher);
  });

  test('a caller that waits drops what was in flight once its attempt has failed', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, overflow: 'dropOldest', batchFlush: flush });
    for (const event of ['failed', 'dropped'] as const) batcher.on(event, () => {});
    const first = watch(batcher.deliverItem(1));
    const second = watch(batcher.deliverItem(2));
    await settled();
    expect(batcher.state.counts.dropped).toBe(0);
    flush.fail(new Error('down'));
    await settled();
    expect(first.error).toBeInstanceOf(OverflowError);
    flush.openAll();
    await settled();
    expect(second.state).toBe('resolved');
    expect(batcher.state.counts).toMatchObject({ delivered: 1, dropped: 1 });
    expectBalanced(batcher);
  });

  test('A1: a batch whose flushed event is being emitted is not dropped as well', async () => {
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, overflow: 'dropOldest', batchFlush: async () => {} });
    let told = 0;
    batcher.on('dropped', () => {});
    batcher.on('flushed', () => {
      if (told++ === 0) batcher.addItems([2, 3]);
    });
    batcher.addItem(1);
    await settled();
    expectBalanced(batcher);
  });

  test('A5: 100,000 items for a sink that hangs: never more than maxPending', () => {
    const { batcher } = bench({ maxBatchSize: 10, maxPending: 100, overflow: 'dropOldest', batchFlush: sink() });
    batcher.on('dropped', () => {});
    for (let item = 0; item < 100_000; item++) batcher.addItem(item);
    expect(batcher.state.pending).toBeLessThanOrEqual(100);
    expectBalanced(batcher);
  });
});

test('an overflow without a listener is reported once, by a process warning', () => {
  for (const overflow of ['wait', 'reject', 'dropNewest', 'dropOldest'] as const) {
    const seen = warnings();
    const { batcher } = bench({ maxPending: 1, maxBatchSize: 1, overflow, batchFlush: sink() });
    batcher.addItems([1, 2, 3, 4]);
    expect(seen).toHaveLength(1);
    jest.restoreAllMocks();
  }
});

test('addItem answers false at the high-water mark also when its add hook has added more', () => {
  const { batcher } = bench({
    highWaterMark: 6,
    batchAddItem: (batch, item) => {
      batch.items.push(item);
      if (item === 5) batcher.addItem(6);
    },
    batchFlush: sink(),
  });
  expect([1, 2, 3, 4, 5].map((item) => batcher.addItem(item))).toEqual([true, true, true, true, false]);
});
