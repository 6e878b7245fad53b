import { CloseError, ClosedError, OptionsError } from 'batch-please';
import { gate } from 'batch-please/testing';
import {
  bench,
  expectBalanced,
  flushedBy,
  settled,
  sink,
  warnings,
  watch,
  type Numbers,
} from '../support/collectors.js';

afterEach(() => jest.restoreAllMocks());

describe('close', () => {
  test('A8: 5 = 2+2 (size) + 1 (close): waits for what is in flight and delivers the rest', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2, 3, 4, 5]);
    const closed = watch(batcher.close());
    flush.open();
    await settled();
    flush.open();
    await settled();
    expect(closed.state).toBe('pending');
    flush.open();
    await settled();
    expect(closed.state).toBe('resolved');
    expect(flush.calls.map(([, { size, reason }]) => `${size} (${reason})`)).toEqual([
      '2 (size)',
      '2 (size)',
      '1 (close)',
    ]);
    expectBalanced(batcher);
  });

  test('takes no more items: addItem answers false and reports, the promises reject with ClosedError', async () => {
    const { batcher, batches } = bench();
    const refused = jest.fn();
    const onError = jest.fn();
    batcher.on('refused', refused);
    const closed = batcher.close();
    expect(batcher.addItem(1, { onError })).toBe(false);
    await expect(batcher.syncAddItem(2)).rejects.toBeInstanceOf(ClosedError);
    await closed;
    await expect(batcher.deliverItem(3)).rejects.toMatchObject({ code: 'ERR_BATCH_CLOSED' });
    expect(batcher.addItems([4, 5])).toBe(false);
    expect(onError.mock.calls).toEqual([[expect.any(ClosedError)]]);
    expect(refused).toHaveBeenCalledTimes(5);
    expect(batches).toEqual([]);
    expect(batcher.state.counts).toMatchObject({ totalItems: 5, refused: 5 });
    expectBalanced(batcher);
  });

  test('again, or flush(), returns the same promise', async () => {
    const { batcher } = bench();
    batcher.addItem(1);
    const closed = batcher.close();
    expect(batcher.close({ timeout: 5 })).toBe(closed);
    expect(batcher.flush()).toBe(closed);
    await closed;
    expect(batcher.close()).toBe(closed);
    expect(batcher.flush()).toBe(closed);
  });

  test('A6: releases everything: no timer is left', async () => {
    const { clock, batcher } = bench({ flushInterval: 100, maxTimeSinceFirstItem: 50, flushTimeout: 70 });
    batcher.addItems([1, 2]);
    await batcher.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('of a batcher that was never used resolves', async () => {
    const { batcher } = bench();
    await batcher.close();
    expect(batcher.state.counts.totalItems).toBe(0);
  });

  test('waits for items in an async add hook', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher, sizes } = bench({ batchAddItem: add });
    batcher.addItems([1, 2]);
    const closed = watch(batcher.close());
    add.openAll();
    await settled();
    expect(closed.state).toBe('resolved');
    expect(sizes).toEqual(['2 (close)']);
  });

  test('tries a batch that waits for its retry, and one that is held, at once', async () => {
    for (const retry of [{ minDelay: 10_000 }, false] as const) {
      const flush = sink();
      const { clock, batcher } = bench({ maxBatchSize: 1, retry, batchFlush: flush });
      for (const event of ['failed', 'held'] as const) batcher.on(event, () => {});
      batcher.addItem(1);
      flush.fail(new Error('no'));
      await settled();
      const closed = batcher.close();
      expect(flush.calls).toHaveLength(2);
      flush.open();
      await closed;
      expect(clock.now()).toBe(0);
      expect(batcher.state.pending).toBe(0);
    }
  });

  test('A8: attempts used up: rejects with CloseError, naming how many items and which batches', async () => {
    const { batcher } = bench({ maxBatchSize: 2, retry: false, batchFlush: () => Promise.reject(new Error('down')) });
    batcher.on('held', () => {});
    batcher.addItems([1, 2, 3]);
    const promise = watch(batcher.deliverItem(4));
    const error = await batcher.close().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CloseError);
    expect(error).toMatchObject({
      code: 'ERR_BATCH_CLOSE',
      undelivered: 4,
      batches: [{ items: [1, 2] }, { items: [3, 4] }],
    });
    await settled();
    expect(promise.state).toBe('rejected');
    expect(batcher.state.pending).toBe(4);
    expectBalanced(batcher);
  });

  test('A8: after its timeout it rejects with CloseError; the signal of the attempt aborts', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2, 3]);
    const signal = flush.calls[0]?.[1].signal;
    const waits = watch(batcher.deliverItem(4));
    const closed = watch(batcher.close({ timeout: 500 }));
    await clock.advance(499);
    expect([closed.state, waits.state, signal?.aborted]).toEqual(['pending', 'pending', false]);
    await clock.advance(1);
    expect(closed.error).toBeInstanceOf(CloseError);
    expect(closed.error).toMatchObject({ undelivered: 4, batches: [{ items: [1, 2] }, { items: [3, 4] }] });
    expect(waits.error).toBeInstanceOf(ClosedError);
    expect(signal?.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    flush.open();
    await settled();
    expect(batcher.state.counts.delivered).toBe(0);
    expectBalanced(batcher);
  });

  test('A8: no attempt starts after its time is up: an item that its own add hook left out is not delivered', async () => {
    const flush = sink();
    const left: unknown[] = [];
    const { batcher } = bench({
      maxBatchSize: 2,
      batchFlush: flush,
      batchAddItem: ({ items }, item) => {
        items.push(item);
        if (item === 4) closed = watch(batcher.close({ timeout: 0 }));
      },
      batchTerminate: (batch) => void left.push(batch),
    });
    let closed = watch(new Promise(() => {}));
    batcher.addItems([1, 2, 3, 4]);
    await settled();
    expect(flushedBy(flush)).toEqual([[1, 2]]);
    expect(closed.error).toMatchObject({ name: 'CloseError', undelivered: 4 });
    expect(left).toEqual([{ items: [1, 2] }, { items: [3, 4] }]);
    expectBalanced(batcher);
  });

  test('A8: the timeout is 30,000 ms by default', async () => {
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: sink() });
    batcher.addItem(1);
    const closed = watch(batcher.close());
    await clock.advance(29_999);
    expect(closed.state).toBe('pending');
    await clock.advance(1);
    expect(closed.state).toBe('rejected');
  });

  test('A8: a sink that always fails is tried until the timeout', async () => {
    let attempts = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      retry: { minDelay: 100, factor: 1, jitter: false },
      batchFlush: () => {
        attempts++;
        throw new Error('down');
      },
    });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    const closed = watch(batcher.close({ timeout: 1000 }));
    await clock.advance(1000);
    expect(closed.error).toMatchObject({ undelivered: 1 });
    expect(attempts).toBeGreaterThanOrEqual(10);
    expect(attempts).toBeLessThanOrEqual(13);
    expect(clock.pendingTimers).toBe(0);
  });

  test('A8: items whose add hook never answered count as undelivered', async () => {
    const { clock, batcher } = bench({ batchAddItem: () => new Promise<void>(() => {}) });
    batcher.on('refused', () => {});
    const waits = [watch(batcher.syncAddItem(1)), watch(batcher.deliverItem(2))];
    const closed = watch(batcher.close({ timeout: 100 }));
    await clock.advance(100);
    expect(closed.error).toMatchObject({ name: 'CloseError', undelivered: 2 });
    expect(waits.map(({ error }) => error)).toEqual([expect.any(ClosedError), expect.any(ClosedError)]);
    expectBalanced(batcher);
  });

  test('calls onError for items that were not delivered', async () => {
    const { batcher } = bench({ retry: false, batchFlush: () => Promise.reject(new Error('down')) });
    const onError = jest.fn();
    batcher.addItem(1, { onError });
    await expect(batcher.close()).rejects.toBeInstanceOf(CloseError);
    await settled();
    expect(onError).toHaveBeenCalledTimes(1);
  });

  test('flushes that wait settle with it', async () => {
    const { clock, batcher } = bench({ batchFlush: sink() });
    batcher.addItem(1);
    const flushed = watch(batcher.flush());
    void batcher.close({ timeout: 100 });
    await clock.advance(100);
    expect(flushed.state).toBe('rejected');
  });

  test.each([{ timeout: -1 }, { flush: 'no' }, { tiemout: 5 }, 'now'])(
    '%j: wrong options throw OptionsError',
    (options) => {
      const { batcher } = bench();
      expect(() => void batcher.close(options as never)).toThrow(OptionsError);
    },
  );
});

describe('close({ flush: false })', () => {
  test('A8: waits only for what is in flight, and resolves; the rest goes to batchTerminate', async () => {
    const flush = sink();
    const left: unknown[] = [];
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush, batchTerminate: (batch) => void left.push(batch) });
    batcher.on('closed', () => {});
    batcher.addItems([1, 2, 3, 4, 5]);
    const waits = watch(batcher.deliverItem(6));
    const closed = watch(batcher.close({ flush: false }));
    await settled();
    expect(closed.state).toBe('pending');
    flush.open();
    await settled();
    expect(closed.state).toBe('resolved');
    expect(waits.error).toBeInstanceOf(ClosedError);
    expect(flushedBy(flush)).toEqual([[1, 2]]);
    expect(left).toEqual([{ items: [3, 4] }, { items: [5, 6] }]);
    expect(batcher.state.counts.delivered).toBe(2);
    expectBalanced(batcher);
  });

  test('does not try a failed attempt again, and resolves', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.on('closed', () => {});
    batcher.addItem(1);
    const closed = watch(batcher.close({ flush: false }));
    flush.fail(new Error('no'));
    await clock.advance(10_000);
    expect(closed.state).toBe('resolved');
    expect(flush.calls).toHaveLength(1);
  });
});

describe('close({ flush: false }) in a hook', () => {
  test('no other batch whose retry is due at the same moment is tried any more', async () => {
    const flushed: string[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      flushConcurrency: 2,
      retry: { minDelay: 10, jitter: false },
      batchFlush: ({ items }, { attempt }) => {
        flushed.push(`${items.join()} attempt ${attempt}`);
        if (attempt === 1) throw new Error('no');
        closed = watch(batcher.close({ flush: false }));
      },
    });
    let closed = watch(new Promise(() => {}));
    batcher.on('failed', () => {});
    batcher.on('closed', () => {});
    batcher.addItems([1, 2]);
    await clock.advance(10);
    expect(flushed).toEqual(['1 attempt 1', '2 attempt 1', '1 attempt 2']);
    expect(closed.state).toBe('resolved');
    expect(batcher.state.counts.delivered).toBe(1);
    expectBalanced(batcher);
  });
});

describe('batchTerminate', () => {
  test('runs once with undefined if everything was delivered', async () => {
    const batchTerminate = jest.fn();
    const { batcher } = bench({ batchTerminate });
    batcher.addItem(1);
    await batcher.close();
    expect(batchTerminate.mock.calls).toEqual([[undefined]]);
  });

  test('runs once for every batch that was not delivered', async () => {
    const batchTerminate = jest.fn();
    const { batcher } = bench({
      maxBatchSize: 1,
      retry: false,
      batchTerminate,
      batchFlush: ({ items }) => {
        if (items[0] !== 2) throw new Error('no');
      },
    });
    batcher.on('held', () => {});
    batcher.addItems([1, 2, 3]);
    await expect(batcher.close()).rejects.toMatchObject({ undelivered: 2 });
    expect(batchTerminate.mock.calls).toEqual([[{ items: [1] }], [{ items: [3] }]]);
  });

  test('is waited for', async () => {
    const terminate = gate<[Numbers | undefined], void>();
    const { batcher } = bench({ batchTerminate: terminate });
    const closed = watch(batcher.close());
    await settled();
    expect(closed.state).toBe('pending');
    terminate.open();
    await settled();
    expect(closed.state).toBe('resolved');
  });

  test('A8: that throws, rejects or never settles is reported, and close ends in bounded time', async () => {
    for (const batchTerminate of [
      () => {
        throw new Error('terminate');
      },
      () => Promise.reject(new Error('terminate')),
      () => new Promise<void>(() => {}),
    ]) {
      const seen = warnings();
      const { clock, batcher } = bench({ batchTerminate });
      batcher.addItem(1);
      const closed = watch(batcher.close({ timeout: 100 }));
      await clock.advance(5000);
      expect(closed.state).toBe('resolved');
      expect(seen).toEqual([expect.stringContaining('batchTerminate')]);
      expect(clock.pendingTimers).toBe(0);
      jest.restoreAllMocks();
    }
  });
});

test('A8: await using closes at the end of the block', async () => {
  const { batcher, sizes } = bench();
  await (async () => {
    await using mine = batcher;
    mine.addItems([1, 2]);
    expect(sizes).toEqual([]);
  })();
  expect(sizes).toEqual(['2 (close)']);
  expect(batcher[Symbol.asyncDispose]()).toBe(batcher.close());
});

test('A8: nothing starts once the time of close is up', async () => {
  let asked = 0;
  const flush = sink();
  const { batcher } = bench({
    shouldFlush: () => {
      if (++asked === 6) void batcher.close({ timeout: 0 }).catch(() => undefined);
      return false;
    },
    batchFlush: flush,
  });
  batcher.addItem(1);
  void batcher.flush().catch(() => undefined);
  batcher.addItem(2);
  batcher.addItem(3);
  await settled();
  expect(asked).toBeGreaterThanOrEqual(6);
  expect(flushedBy(flush)).toEqual([[1]]);
});

describe('close, and a dead letter hook that fails', () => {
  function poisoned(batchDeadLetter: (batch: Numbers, error: unknown) => Promise<void>) {
    const terminated: unknown[] = [];
    const { clock, batcher } = bench({
      retry: { attempts: 3, minDelay: 10, jitter: false },
      giveUp: 'drop',
      batchFlush: () => {
        throw new Error('refused by the sink');
      },
      batchDeadLetter,
      batchTerminate: (batch) => void terminated.push(batch),
    });
    for (const name of ['failed', 'dropped', 'closed'] as const) batcher.on(name, () => {});
    batcher.addItems([1, 2]);
    return { clock, batcher, terminated };
  }

  test('A8, A12: a dead letter hook that failed once while closing lost the batch, and close() resolved', async () => {
    const letters: number[] = [];
    let calls = 0;
    const { clock, batcher, terminated } = poisoned(async ({ items }) => {
      await Promise.resolve();
      if (++calls === 1) throw new Error('no dead letters now');
      letters.push(...items);
    });
    const closed = watch(batcher.close({ timeout: 5000 }));
    await clock.advance(5000);
    expect(closed.state).toBe('resolved');
    expect(letters).toEqual([1, 2]);
    expect(terminated).toEqual([undefined]);
    expectBalanced(batcher);
  });

  test.each([
    ['failed each time', () => Promise.reject(new Error('no dead letters'))],
    ['never settled', () => new Promise<void>(() => {})],
  ])('A8, A12: the batch of a dead letter hook that %s was neither in CloseError nor terminated', async (_, hook) => {
    const { clock, batcher, terminated } = poisoned(hook);
    const closed = watch(batcher.close({ timeout: 500 }));
    await clock.advance(5000);
    expect(closed.error).toMatchObject({ name: 'CloseError', undelivered: 2, batches: [{ items: [1, 2] }] });
    expect(terminated).toEqual([{ items: [1, 2] }]);
    expect(clock.pendingTimers).toBe(0);
    expectBalanced(batcher);
  });
});
