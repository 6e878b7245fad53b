import { ClearedError, OptionsError } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';
import { bench, expectBalanced, flushedBy, settled, sink, watch } from '../support/collectors.js';

describe('clear', () => {
  test('returns what is queued, waits for its retry, or is open; oldest first; what runs goes on', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    const adds = [1, 2, 3, 4, 5].map((item) => watch(batcher.deliverItem(item)));
    expect(batcher.clear()).toEqual([{ items: [3, 4] }, { items: [5] }]);
    await settled();
    expect(adds.map(({ state }) => state)).toEqual(['pending', 'pending', 'rejected', 'rejected', 'rejected']);
    expect(adds[4]?.error).toBeInstanceOf(ClearedError);
    expect(adds[4]?.error).toMatchObject({ code: 'ERR_BATCH_CLEARED' });
    expect(batcher.state).toMatchObject({ pending: 2, counts: { returned: 3, batchItems: 0 } });
    flush.open();
    await settled();
    expect(adds[0]?.state).toBe('resolved');
    expectBalanced(batcher);
  });

  test('a batch in back-off and one that is held are taken back; flush() then resolves', async () => {
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: () => Promise.reject(new Error('down')) });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    await settled();
    const flushed = watch(batcher.flush({ hurry: false }));
    expect(batcher.clear()).toEqual([{ items: [1] }]);
    await settled();
    expect(flushed.state).toBe('resolved');
    expect(clock.pendingTimers).toBe(0);
    expectBalanced(batcher);
  });

  test('after it the next batch is cut at its full size: 3 (size)', () => {
    const { batcher, sizes } = bench({ maxBatchSize: 3 });
    batcher.addItems([1, 2]);
    expect(batcher.clear()).toEqual([{ items: [1, 2] }]);
    batcher.addItems([3, 4, 5]);
    expect(sizes).toEqual(['3 (size)']);
  });

  test('of an empty batcher returns nothing', () => {
    expect(bench().batcher.clear()).toEqual([]);
  });

  test('lets callers in that wait for room', async () => {
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: () => Promise.reject(new Error('down')) });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    await settled();
    const waiting = watch(batcher.syncAddItem(2));
    batcher.clear();
    await settled();
    expect(batcher.state.pending).toBe(1);
    expect(waiting.state).toBe('pending'); // it is in its batch, which waits for its retry on the only lane
  });
});

describe('pause and resume', () => {
  test('while paused no attempt starts, adds go on; then 2+2+1', async () => {
    const { batcher, sizes } = bench({ maxBatchSize: 2 });
    batcher.pause();
    batcher.addItems([1, 2, 3, 4, 5]);
    await settled();
    expect(sizes).toEqual([]);
    expect(batcher.state).toMatchObject({ paused: true, pending: 5, waiting: 5 });
    batcher.resume();
    expect(sizes).toEqual(['2 (size)', '2 (size)']);
    await batcher.flush();
    expect(sizes).toEqual(['2 (size)', '2 (size)', '1 (demand)']);
    expect(batcher.state.paused).toBe(false);
  });

  test('batchPostFlush of what was delivered is repeated: it is the end of what was in flight', async () => {
    const post = gate<[], undefined>();
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: { jitter: false }, batchPostFlush: () => post() });
    batcher.on('failed', () => {});
    const added = watch(batcher.syncAddItem(1));
    batcher.pause();
    post.fail(new Error('no'));
    await settled();
    await clock.advance(1000);
    expect(post.calls).toHaveLength(2);
    post.open();
    await settled();
    expect(added.state).toBe('resolved');
  });

  test('a retry that falls due waits for resume', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: { jitter: false }, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    flush.fail(new Error('no'));
    await settled();
    batcher.pause();
    await clock.advance(1000);
    expect(flush.calls).toHaveLength(1);
    batcher.resume();
    expect(flush.calls).toHaveLength(2);
  });

  test('close() resumes', async () => {
    const { batcher, sizes } = bench();
    batcher.pause();
    batcher.addItem(1);
    await batcher.close();
    expect(sizes).toEqual(['1 (close)']);
  });
});

describe('configure', () => {
  test('a smaller size cuts the open batch at once', () => {
    const { batcher, sizes } = bench({ maxBatchSize: 10 });
    batcher.addItems([1, 2, 3]);
    batcher.configure({ maxBatchSize: 3 });
    expect(sizes).toEqual(['3 (size)']);
    expect(batcher.state.config.maxBatchSize).toBe(3);
    batcher.addItems([4, 5, 6]);
    expect(sizes).toEqual(['3 (size)', '3 (size)']);
  });

  test('an age applies to the open batch', async () => {
    const { clock, batcher, sizes } = bench();
    batcher.addItem(1);
    await clock.advance(50);
    batcher.configure({ maxTimeSinceFirstItem: 100 });
    await clock.advance(49);
    expect(sizes).toEqual([]);
    await clock.advance(1);
    expect(sizes).toEqual(['1 (age)']);
  });

  test('more lanes start what is queued; fewer let what runs finish', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.addItems([1, 2, 3, 4]);
    expect(flush.waiting).toBe(1);
    batcher.configure({ flushConcurrency: 3 });
    expect(flush.waiting).toBe(3);
    batcher.configure({ flushConcurrency: 1 });
    flush.open();
    await settled();
    expect(flush.waiting).toBe(2);
    flush.openAll();
    await batcher.flush();
    expect(flushedBy(flush)).toEqual([[1], [2], [3], [4]]);
  });

  test('a larger bound lets callers in that wait for room', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    batcher.addItem(1);
    void batcher.syncAddItem(2);
    expect(batcher.state.pending).toBe(1);
    batcher.configure({ maxPending: 5 });
    await settled();
    expect(batcher.state.pending).toBe(2);
  });

  test('is all or nothing, and names what is wrong', () => {
    const { batcher } = bench({ maxBatchSize: 10 });
    expect(() => {
      batcher.configure({ maxBatchSize: 2, flushTimeout: -1 });
    }).toThrow(OptionsError);
    expect(batcher.state.config.maxBatchSize).toBe(10);
    expect(() => {
      batcher.configure({ batchFlush: () => {} } as never);
    }).toThrow(/batchFlush/);
    expect(() => {
      batcher.configure({ maxBatchWeight: 5 });
    }).toThrow(/maxBatchWeight/);
  });

  test('retry and giveUp hold from the next failure on', async () => {
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: () => Promise.reject(new Error('no')) });
    batcher.on('failed', () => {});
    batcher.on('dropped', () => {});
    batcher.addItem(1);
    await settled();
    batcher.configure({ retry: { attempts: 2 }, giveUp: 'drop' });
    await clock.advance(100);
    expect(batcher.state.counts.dropped).toBe(1);
  });
});

describe('retry.delay and retry.maxElapsed', () => {
  const failing = (delay: (failed: { error: unknown; attempt: number; elapsed: number; delay: number }) => unknown) => {
    const times: number[] = [];
    const setup = bench({
      maxBatchSize: 1,
      retry: { jitter: false, minDelay: 100, factor: 2, delay: delay as never },
      batchFlush: () => {
        times.push(setup.clock.now());
        throw new Error('no');
      },
    });
    setup.batcher.on('failed', () => {});
    setup.batcher.on('held', () => {});
    return { ...setup, attemptsAt: times };
  };

  test('a number is the wait; undefined keeps the schedule', async () => {
    const asked: unknown[] = [];
    const { clock, batcher, attemptsAt } = failing((failed) => {
      asked.push(failed);
      return failed.attempt === 1 ? 5000 : undefined;
    });
    batcher.addItem(1);
    await clock.advance(5200);
    expect(attemptsAt).toEqual([0, 5000, 5200]);
    expect(asked.slice(0, 2)).toEqual([
      { error: new Error('no'), attempt: 1, elapsed: 0, delay: 100 },
      { error: new Error('no'), attempt: 2, elapsed: 5000, delay: 200 },
    ]);
  });

  test('false means that another attempt is of no use: the batch is given up', async () => {
    const { batcher, attemptsAt } = failing(() => false);
    batcher.addItem(1);
    await settled();
    expect(batcher.state.batches).toMatchObject([{ status: 'held', attempt: 1 }]);
    expect(attemptsAt).toEqual([0]);
  });

  test.each([
    ['a string', () => '5'],
    ['a promise', () => Promise.resolve(5)],
    ['a negative number', () => -1],
  ])('%s is reported and keeps the schedule', async (_what, delay) => {
    const warning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { clock, batcher, attemptsAt } = failing(delay);
    batcher.addItem(1);
    await clock.advance(100);
    expect(attemptsAt).toEqual([0, 100]);
    expect(String(warning.mock.calls[0]?.[0])).toMatch(/retry\.delay/);
    warning.mockRestore();
  });

  test('A9: one that throws keeps the schedule', async () => {
    const warning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { clock, batcher, attemptsAt } = failing(() => {
      throw new Error('broken');
    });
    batcher.addItem(1);
    await clock.advance(100);
    expect(attemptsAt).toEqual([0, 100]);
    warning.mockRestore();
  });

  test('a delay that was set is not cut short by flush(), only by close()', async () => {
    const { clock, batcher, attemptsAt } = failing(() => 10_000);
    batcher.addItem(1);
    await settled();
    void batcher.flush();
    await clock.advance(5000);
    expect(attemptsAt).toEqual([0]);
    const closed = watch(batcher.close({ timeout: 100 }));
    await settled();
    expect(attemptsAt).toEqual([0, 5000]);
    await clock.advance(100);
    expect(closed.state).toBe('rejected');
  });

  test('maxElapsed: no attempt starts later after the first: 0, 100, 300, then held', async () => {
    const times: number[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      retry: { jitter: false, maxElapsed: 500 },
      batchFlush: () => {
        times.push(clock.now());
        throw new Error('no');
      },
    });
    batcher.on('failed', () => {});
    batcher.on('held', () => {});
    batcher.addItem(1);
    await clock.advance(10_000);
    expect(times).toEqual([0, 100, 300]);
    expect(batcher.state.batches).toMatchObject([{ status: 'held' }]);
  });
});

describe('flush({ hurry })', () => {
  function down() {
    const times: number[] = [];
    const attempts: number[] = [];
    const setup = bench({
      maxBatchSize: 1,
      retry: { jitter: false, minDelay: 1000, factor: 1 },
      batchFlush: (_batch, { attempt }) => {
        times.push(setup.clock.now());
        attempts.push(attempt);
        throw new Error('down');
      },
    });
    setup.batcher.on('failed', () => {});
    return { ...setup, attemptsAt: times, attempts };
  }

  test('tries a waiting batch once per wait, however many call; the schedule goes on', async () => {
    const { clock, batcher, attemptsAt, attempts } = down();
    batcher.addItem(1);
    await clock.advance(400);
    for (let i = 0; i < 50; i++) void batcher.flush();
    await settled();
    void batcher.flush();
    await settled();
    expect(attemptsAt).toEqual([0, 400]);
    await clock.advance(600);
    // Due when it was due anyway; the extra attempt has used up none.
    expect(attemptsAt).toEqual([0, 400, 1000]);
    expect(attempts).toEqual([1, 2, 2]);
  });

  test('hurry: false waits for the schedule', async () => {
    const { clock, batcher, attemptsAt } = down();
    batcher.addItem(1);
    await clock.advance(400);
    void batcher.flush({ hurry: false });
    await clock.advance(599);
    expect(attemptsAt).toEqual([0]);
    await clock.advance(1);
    expect(attemptsAt).toEqual([0, 1000]);
  });

  test('a flush() that goes on waiting hurries no later wait', async () => {
    const { clock, batcher, attemptsAt } = down();
    batcher.addItem(1);
    await settled();
    void batcher.flush();
    await clock.advance(3000);
    expect(attemptsAt).toEqual([0, 0, 1000, 2000, 3000]);
  });

  test('A11: a crowd that waits for room makes no attempt', async () => {
    const times: number[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 5,
      maxPending: 10,
      retry: { jitter: false },
      batchFlush: () => {
        times.push(clock.now());
        throw new Error('down');
      },
    });
    batcher.on('failed', () => {});
    for (let i = 0; i < 60; i++) void batcher.syncAddItem(i);
    await clock.advance(1000);
    expect(times).toEqual([0, 100, 300, 700]);
  });

  test('an aborted flush() leaves at once and leaves nothing behind; aborted before, it does nothing', async () => {
    const { clock, batcher, attemptsAt } = down();
    batcher.addItem(1);
    await clock.advance(10);
    const before = watch(batcher.flush({ signal: AbortSignal.abort('x') }));
    await settled();
    expect([before.error, attemptsAt]).toEqual(['x', [0]]);
    const controller = new AbortController();
    const flushed = watch(batcher.flush({ signal: controller.signal }));
    controller.abort('enough');
    await settled();
    expect(flushed.error).toBe('enough');
  });
});

describe('lanes', () => {
  test('flushConcurrency: Infinity starts every batch at once', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, flushConcurrency: Infinity, batchFlush: flush });
    for (let i = 0; i < 1000; i++) batcher.addItem(i);
    expect(flush.waiting).toBe(1000);
    expect(batcher.state.inFlight).toEqual({ batches: 1000, items: 1000 });
    flush.openAll();
    await batcher.close();
    expectBalanced(batcher);
  });

  test('an awaiting producer keeps all lanes busy: 40 items, batches of 2, 4 lanes, 10 ms each: 5 rounds', async () => {
    const clock = new TestClock();
    let running = 0;
    let most = 0;
    const batcher = new MemoryBatcher<number>({
      clock,
      maxBatchSize: 2,
      flushConcurrency: 4,
      batchFlush: () => {
        most = Math.max(most, ++running);
        return new Promise<void>((resolve) => {
          clock.setTimer(() => {
            running--;
            resolve();
          }, 10);
        });
      },
    });
    const produced = (async () => {
      for (let i = 0; i < 40; i++) await batcher.syncAddItem(i);
      await batcher.flush();
    })();
    await clock.advance(49);
    expect(watch(produced).state).toBe('pending');
    await clock.advance(1);
    await produced;
    expect(most).toBe(4);
    expect(clock.now()).toBe(50);
  });

  test('with one lane syncAddItem of the item that fills a batch waits until that is settled', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    await batcher.syncAddItem(1);
    const second = watch(batcher.syncAddItem(2));
    await settled();
    expect(second.state).toBe('pending');
    flush.open();
    await settled();
    expect(second.state).toBe('resolved');
  });
});

describe('maxTimeSinceLastItem', () => {
  test('a batch to which nothing is added is flushed after that time: 1 (idle)', async () => {
    const { clock, batcher, sizes } = bench({ maxTimeSinceLastItem: 100 });
    batcher.addItem(1);
    await clock.advance(99);
    expect(sizes).toEqual([]);
    await clock.advance(1);
    expect(sizes).toEqual(['1 (idle)']);
    expect(clock.pendingTimers).toBe(0);
  });

  test('items that go on coming keep it open; after the last it takes at least once and at most twice that time', async () => {
    const { clock, batcher, sizes } = bench({ maxTimeSinceLastItem: 100 });
    for (let i = 0; i < 20; i++) {
      batcher.addItem(i);
      await clock.advance(60);
    }
    expect(sizes).toEqual([]);
    const last = clock.now() - 60;
    await clock.advance(200);
    expect(sizes).toEqual(['20 (idle)']);
    expect(last).toBeGreaterThan(0);
  });
});

describe('state', () => {
  test('shows what runs, waits for its retry, is queued and is open', async () => {
    const flush = gate<[{ items: number[] }], void>();
    const { batcher } = bench({ maxBatchSize: 2, flushConcurrency: 2, batchFlush: flush, weigh: (item) => item });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4, 5, 6, 7]);
    flush.fail(new Error('no'));
    await settled();
    expect(batcher.state).toMatchObject({ pending: 7, weight: 7, waiting: 5, inFlight: { batches: 1, items: 2 } });
    expect(batcher.state.batches).toMatchObject([
      { size: 2, weight: 3, reason: 'size', status: 'retrying', attempt: 1 },
      { size: 2, weight: 7, status: 'running', attempt: 1, retryAt: undefined },
      { size: 2, weight: 11, status: 'queued', attempt: 0 },
    ]);
  });

  test('after close it keeps no item alive', async () => {
    const { batcher } = bench();
    batcher.addItem(5);
    await batcher.close();
    expect(batcher.state.lastItem).toBeUndefined();
  });

  test('flushed carries what batchFlush returned', async () => {
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: () => Promise.resolve({ inserted: 1 }) });
    const flushed = jest.fn();
    batcher.on('flushed', flushed);
    batcher.addItem(1);
    await settled();
    expect(flushed.mock.calls).toMatchObject([[{ result: { inserted: 1 } }]]);
  });

  test("overflow 'dropNewest' hands the item over with the event", () => {
    const { batcher } = bench({ maxPending: 1, overflow: 'dropNewest' });
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    batcher.addItems([1, 2]);
    expect(dropped.mock.calls).toMatchObject([[{ reason: 'overflow', size: 1, item: 2 }]]);
  });
});

describe('A12: one owner', () => {
  test('a batch that batchDeadLetter takes over while closing is in neither CloseError nor batchTerminate', async () => {
    const letters: number[][] = [];
    const terminated: unknown[] = [];
    const { clock, batcher } = bench({
      retry: { attempts: 2, minDelay: 1 },
      giveUp: 'drop',
      batchFlush: () => {
        throw new Error('rejected');
      },
      batchDeadLetter: ({ items }) => void letters.push([...items]),
      batchTerminate: (batch) => void terminated.push(batch),
    });
    for (const event of ['failed', 'dropped', 'closed'] as const) batcher.on(event, () => {});
    batcher.addItems([1, 2, 3]);
    const closed = watch(batcher.close());
    await clock.advance(100);
    expect(closed.state).toBe('resolved');
    expect([letters, terminated]).toEqual([[[1, 2, 3]], [undefined]]);
    expect(batcher.state).toMatchObject({ pending: 0, counts: { dropped: 3 } });
  });

  test('without a batchDeadLetter it is undelivered, still pending, and handed to CloseError and batchTerminate', async () => {
    const terminated: unknown[] = [];
    const { batcher } = bench({
      retry: false,
      giveUp: 'drop',
      batchFlush: () => {
        throw new Error('rejected');
      },
      batchTerminate: (batch) => void terminated.push(batch),
    });
    batcher.on('closed', () => {});
    batcher.addItems([1, 2]);
    await expect(batcher.close()).rejects.toMatchObject({ undelivered: 2, batches: [{ items: [1, 2] }] });
    expect(terminated).toEqual([{ items: [1, 2] }]);
    expect(batcher.state.pending).toBe(2);
    expectBalanced(batcher);
  });
});
