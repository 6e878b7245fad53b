import { PartialFlushError } from 'batch-please';
import { gate } from 'batch-please/testing';
import { bench, expectBalanced, settled, warnings, watch } from '../support/collectors.js';

const RETRY = { jitter: false, minDelay: 100, factor: 1 } as const;

test('A2: flush() tries a held batch at once, also if retry.delay had set its last wait', async () => {
  let down = true;
  const { clock, batcher, batches } = bench({
    maxBatchSize: 1,
    retry: { ...RETRY, attempts: 2, delay: () => 10 },
    batchPreFlush: () => {
      if (down) throw new Error('down');
    },
  });
  batcher.on('failed', () => {});
  batcher.on('held', () => {});
  batcher.addItem(1);
  await clock.advance(20);
  expect(batcher.state.batches).toMatchObject([{ status: 'held', attempt: 2 }]);
  down = false;
  const flushed = watch(batcher.flush());
  await settled();
  expect(flushed.state).toBe('resolved');
  expect(batches).toEqual([[1]]);
});

test('A1: a batchSplit that fails at the second part loses nothing: the first stays a part', async () => {
  let splits = 0;
  const seen: number[][] = [];
  const { clock, batcher } = bench({
    maxBatchSize: 4,
    giveUp: 'drop',
    retry: { ...RETRY, attempts: 3, delay: ({ error }) => (error === 'bad' ? false : undefined) },
    batchSplit: (batch, indexes) => {
      if (++splits === 2) throw new Error('split');
      const items = indexes.map((index) => batch.items[index] ?? -1);
      batch.items = batch.items.filter((_, index) => !indexes.includes(index));
      return { items };
    },
    batchFlush: ({ items }) => {
      seen.push([...items]);
      if (seen.length === 1) throw new PartialFlushError(['again', 'bad', undefined, undefined]);
    },
  });
  batcher.on('failed', () => {});
  const adds = [1, 2, 3, 4].map((item) => watch(batcher.deliverItem(item)));
  await clock.advance(300);
  expect(seen).toEqual([[1, 2, 3, 4], [1], [2, 3, 4]]);
  expect(adds.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved', 'resolved']);
  expect(batcher.state).toMatchObject({ pending: 0, counts: { delivered: 4 } });
  expectBalanced(batcher);
});

test('maxElapsed: with a delay of 0 the last attempt starts at that time, and none after it', async () => {
  const { clock, batcher, times } = bench({
    maxBatchSize: 1,
    retry: { ...RETRY, minDelay: 0, maxElapsed: 3 },
    batchPreFlush: () => {
      times.push(clock.now());
      throw new Error('down');
    },
  });
  batcher.on('failed', () => {});
  batcher.on('held', () => {});
  batcher.addItem(1);
  await clock.advance(50);
  expect(times).toEqual([0, 1, 2, 3]);
});

test('a part that is tried again after a delay of 0 is said to have failed, with its time', async () => {
  let attempts = 0;
  const { clock, batcher } = bench({
    maxBatchSize: 2,
    retry: { ...RETRY, minDelay: 0 },
    batchFlush: () => {
      if (++attempts === 1) throw new PartialFlushError(['no', undefined]);
    },
  });
  const failed = jest.fn();
  batcher.on('failed', failed);
  batcher.addItems([1, 2]);
  expect(failed.mock.calls).toMatchObject([[{ size: 1, error: 'no', retryAt: 1 }]]);
  await clock.advance(1);
  expect(batcher.state.counts.delivered).toBe(2);
});

test('A11: a batch hurried during a pause, and due by its end, has one attempt and then its usual wait', async () => {
  const { clock, batcher, times } = bench({
    maxBatchSize: 1,
    retry: RETRY,
    batchPreFlush: () => {
      times.push(clock.now());
      throw new Error('down');
    },
  });
  batcher.on('failed', () => {});
  batcher.addItem(1);
  batcher.pause();
  await clock.advance(50);
  void batcher.flush();
  await clock.advance(150);
  batcher.resume();
  await clock.advance(150);
  expect(times).toEqual([0, 200, 300]);
});

test('A2: held parts of several batches are all tried by one flush(), on one lane', async () => {
  let down = true;
  const { clock, batcher } = bench({
    maxBatchSize: 2,
    giveUp: 'split',
    retry: { ...RETRY, attempts: 1 },
    batchFlush: () => {
      if (down) throw new Error('down');
    },
  });
  for (const name of ['failed', 'held'] as const) batcher.on(name, () => {});
  batcher.addItems([1, 2, 3, 4, 5, 6, 7, 8]);
  await clock.advance(1000);
  void batcher.flush();
  await clock.advance(1000);
  down = false;
  const flushed = watch(batcher.flush());
  await clock.advance(0);
  expect(flushed.state).toBe('resolved');
  expect(batcher.state.pending).toBe(0);
});

test('A2: a retry.delay of Infinity is reported and keeps the schedule, or flush() would wait for ever', async () => {
  const warned = warnings();
  let attempts = 0;
  const { clock, batcher } = bench({
    maxBatchSize: 1,
    retry: { ...RETRY, delay: () => Infinity },
    batchFlush: () => {
      if (++attempts < 3) throw new Error('down');
    },
  });
  batcher.on('failed', () => {});
  batcher.addItem(1);
  const flushed = watch(batcher.flush());
  await clock.advance(200);
  expect([attempts, flushed.state]).toEqual([3, 'resolved']);
  expect(warned).toEqual([expect.stringContaining('retry.delay')]);
});

test('A2: flush({ hurry: false }) rejects at once when a batch that it covers is held already', async () => {
  let attempts = 0;
  const { batcher } = bench({
    maxBatchSize: 1,
    retry: false,
    batchFlush: () => {
      attempts++;
      throw new Error('down');
    },
  });
  const held = jest.fn();
  batcher.on('held', held);
  batcher.addItem(1);
  const flushed = watch(batcher.flush({ hurry: false }));
  await settled();
  expect(flushed.error).toMatchObject({ name: 'FlushError', size: 1, attempt: 1, cause: new Error('down') });
  expect([attempts, held.mock.calls.length]).toEqual([1, 1]);
});

describe('flush({ hurry: false }) from within a hook rejected before its own demand retried the held batch', () => {
  /** The batch of item 1 is held; its first attempts fail, as many as `failures` says. */
  function heldOnce(failures: number, options: Parameters<typeof bench>[0] = {}) {
    let left = failures;
    const setup = bench({
      maxBatchSize: 10,
      retry: false,
      batchPreFlush: () => {
        if (left-- > 0) throw new Error('down');
      },
      ...options,
    });
    setup.batcher.on('held', () => {});
    setup.batcher.addItem(1);
    void setup.batcher.flush();
    expect(setup.batcher.state.batches).toMatchObject([{ status: 'held' }]);
    return setup;
  }

  test('from an add hook: its item makes a batch, which is a trigger for the held one', async () => {
    let flushed: ReturnType<typeof watch> | undefined;
    const { batcher, batches } = heldOnce(1, {
      batchAddItem: (batch, item) => {
        batch.items.push(item);
        if (item === 2) flushed = watch(batcher.flush({ hurry: false }));
      },
    });
    batcher.addItem(2);
    await settled();
    expect(flushed?.state).toBe('resolved');
    expect(batches).toEqual([[1], [2]]);
    expectBalanced(batcher);
  });

  test('from batchInit and shouldFlush as well', async () => {
    for (const hook of ['batchInit', 'shouldFlush'] as const) {
      let flushed: ReturnType<typeof watch> | undefined;
      let asked = false;
      const { batcher, batches } = heldOnce(1, {
        [hook]: () => {
          if (asked) flushed ??= watch(batcher.flush({ hurry: false }));
          return hook === 'batchInit' ? { items: [] } : false;
        },
      });
      asked = true;
      batcher.addItem(2);
      await settled();
      expect([hook, flushed?.state, batches]).toEqual([hook, 'resolved', [[1], [2]]]);
    }
  });

  test('while an asynchronous add hook has the only item that the call demands', async () => {
    const added = gate();
    const { batcher, batches } = heldOnce(1, {
      batchAddItem: (batch, item) => {
        batch.items.push(item);
        return item === 2 ? added() : undefined;
      },
    });
    batcher.addItem(2);
    const flushed = watch(batcher.flush({ hurry: false }));
    await settled();
    expect([flushed.state, batches]).toEqual(['pending', []]);
    added.open();
    await settled();
    expect([flushed.state, batches]).toEqual(['resolved', [[1], [2]]]);
  });

  test('of two calls of one hook the second, whose own demand retries the held batch, waits for it', async () => {
    const added = gate();
    const calls: ReturnType<typeof watch>[] = [];
    let first = true;
    const { batcher, batches } = bench({
      maxBatchSize: 10,
      flushConcurrency: 2,
      retry: false,
      batchAddItem: (batch, item) => {
        batch.items.push(item);
        return item === 3 ? added() : undefined;
      },
      batchPreFlush: ({ items: [item] }) => {
        if (item === 1 && calls.length === 0) throw new Error('down');
        if (item !== 2 || !first) return;
        first = false;
        calls.push(watch(batcher.flush({ hurry: false })));
        batcher.addItem(3);
        calls.push(watch(batcher.flush({ hurry: false })));
      },
    });
    batcher.on('held', () => {});
    batcher.addItem(1);
    void batcher.flush();
    batcher.addItem(2);
    void batcher.flush({ hurry: false });
    await settled();
    expect(calls.map(({ state }) => state)).toEqual(['rejected', 'pending']);
    added.open();
    await settled();
    expect(calls.map(({ state }) => state)).toEqual(['rejected', 'resolved']);
    expect(batches).toEqual([[2], [1], [3]]);
    expectBalanced(batcher);
  });

  test('it rejects all the same when that item is refused, since then nothing is cut', async () => {
    const added = gate();
    const { batcher } = heldOnce(1, { batchAddItem: (_batch, item) => (item === 2 ? added() : undefined) });
    batcher.on('refused', () => {});
    batcher.addItem(2);
    const flushed = watch(batcher.flush({ hurry: false }));
    added.fail(new Error('bad row'));
    await settled();
    expect(flushed.error).toMatchObject({ name: 'FlushError', size: 1, cause: new Error('down') });
  });

  test('and when the retry fails', async () => {
    const { batcher, batches } = heldOnce(2);
    batcher.addItem(2);
    const flushed = watch(batcher.flush({ hurry: false }));
    await settled();
    expect(flushed.error).toMatchObject({ name: 'FlushError', size: 1, cause: new Error('down') });
    expect(batches).toEqual([]);
  });

  test('a held batch that is due, and waits for a lane or the end of a pause, is no reason to reject', async () => {
    const { batcher, batches } = heldOnce(1);
    batcher.pause();
    batcher.addItem(2);
    const flushed = watch(batcher.flush({ hurry: false }));
    await settled();
    expect(flushed.state).toBe('pending');
    batcher.resume();
    await settled();
    expect([flushed.state, batches]).toEqual(['resolved', [[1], [2]]]);
  });

  test('from a listener of held it rejects with that FlushError', async () => {
    let flushed: ReturnType<typeof watch> | undefined;
    const { batcher } = bench({ maxBatchSize: 1, retry: false, batchFlush: () => Promise.reject(new Error('down')) });
    batcher.on('held', () => {
      flushed = watch(batcher.flush({ hurry: false }));
    });
    batcher.addItem(1);
    await settled();
    expect(flushed?.error).toMatchObject({ name: 'FlushError', size: 1, cause: new Error('down') });
  });
});

test('a delay that retry.delay sets for one item of a batch is not cut short, whichever item it is and which is longer', async () => {
  for (const delays of [
    [100, undefined],
    [undefined, 100],
    [50, undefined],
    [undefined, 50],
  ]) {
    let attempts = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 2,
      retry: { ...RETRY, delay: ({ error }) => delays[Number((error as Error).message)] },
      batchFlush: () => {
        if (++attempts > 1) return;
        throw new PartialFlushError([new Error('0'), new Error('1')]);
      },
    });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    batcher.addItem(2);
    await clock.advance(10);
    void batcher.flush();
    await clock.advance(89);
    expect(attempts).toBe(1);
    await clock.advance(1);
    expect(attempts).toBe(2);
  }
});
