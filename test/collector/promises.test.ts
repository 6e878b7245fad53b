import { ClosedError, ItemError, OptionsError, TimeoutError } from 'batch-please';
import { gate } from 'batch-please/testing';
import {
  bench,
  expectBalanced,
  flushedBy,
  settled,
  sink,
  strayErrors,
  watch,
  type NumberOptions,
} from '../support/collectors.js';

afterEach(() => jest.restoreAllMocks());

describe('addItem', () => {
  test('answers true, then false from highWaterMark on: 3 pending of 3', async () => {
    const flush = sink();
    const { batcher } = bench({ highWaterMark: 3, batchFlush: flush });
    expect([1, 2, 3, 4].map((item) => batcher.addItem(item))).toEqual([true, true, false, false]);
    void batcher.flush();
    flush.openAll();
    await settled();
    expect(batcher.addItem(5)).toBe(true);
  });

  test('addItems answers as the last of them would, and without any by what is pending', () => {
    const flush = sink();
    const { batcher } = bench({ highWaterMark: 2, batchFlush: flush });
    expect(batcher.addItems([])).toBe(true);
    expect(batcher.addItems([1])).toBe(true);
    expect(batcher.addItems([2])).toBe(false);
    expect(batcher.addItems([])).toBe(false);
  });

  test('answers false when its own add hook has added up to highWaterMark: 1, then 2 with 3 and 4 in it, of 4', () => {
    const answers: boolean[] = [];
    const { batcher } = bench({
      highWaterMark: 4,
      batchAddItem: ({ items }, item) => {
        items.push(item);
        if (item === 2) answers.push(batcher.addItem(3), batcher.addItem(4));
      },
    });
    answers.push(batcher.addItem(1), batcher.addItem(2));
    // In the order of their returns: 3 and 4, from within 2, then 1 and 2.
    expect(answers).toEqual([true, false, true, false]);
    expect(batcher.state.pending).toBe(4);
  });

  test('always answers true without highWaterMark', () => {
    const { batcher } = bench({ batchFlush: sink() });
    expect(Array.from({ length: 5000 }, (_, i) => batcher.addItem(i)).every(Boolean)).toBe(true);
  });

  test('answers by what is pending after it: a sink that is at once done keeps it true', () => {
    const { batcher } = bench({ highWaterMark: 1, maxBatchSize: 1 });
    expect([1, 2, 3].map((item) => batcher.addItem(item))).toEqual([true, true, true]);
  });

  test('passes the error of its item to its own onError, and to the event', () => {
    const { batcher } = bench({
      batchAddItem: (batch, item) => {
        if (item < 0) throw new Error('negative');
        batch.items.push(item);
      },
    });
    const refused = jest.fn();
    const [good, bad] = [jest.fn(), jest.fn()];
    batcher.on('refused', refused);
    batcher.addItem(1, { onError: good });
    batcher.addItem(-1, { onError: bad });
    expect(good).not.toHaveBeenCalled();
    expect(bad.mock.calls).toEqual([[expect.any(ItemError)]]);
    expect(bad.mock.calls).toMatchObject([[{ hook: 'batchAddItem', cause: new Error('negative') }]]);
    expect(refused.mock.calls).toEqual([[{ item: -1, error: expect.any(ItemError) as unknown }]]);
    expectBalanced(batcher);
  });

  test('calls onError for an item that is refused later, and for one that could not be delivered', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher } = bench({
      batchAddItem: add,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => Promise.reject('no'),
    });
    batcher.on('refused', () => {});
    batcher.on('dropped', () => {});
    const [first, second] = [jest.fn(), jest.fn()];
    batcher.addItem(1, { onError: first });
    batcher.addItem(2, { onError: second });
    add.fail(new Error('late'));
    await settled();
    expect(first.mock.calls).toMatchObject([[{ name: 'ItemError' }]]);
    add.open();
    await settled();
    expect(second).not.toHaveBeenCalled();
    await expect(batcher.flush()).rejects.toMatchObject({ name: 'FlushError' });
    expect(second.mock.calls).toMatchObject([[{ name: 'FlushError', cause: 'no' }]]);
  });

  test('wants a function as onError', () => {
    const { batcher } = bench();
    expect(() => batcher.addItem(1, { onError: 'log' as never })).toThrow(OptionsError);
  });
});

describe('addItems', () => {
  test('takes any iterable, in one call and in order: 5 = 2+2 (size), 1 stays', () => {
    const { batcher, batches } = bench({ maxBatchSize: 2 });
    function* numbers(): Generator<number> {
      yield* [1, 2];
      yield* new Set([3, 4, 5]);
    }
    expect(batcher.addItems(numbers())).toBe(true);
    expect(batches).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(batcher.state.pending).toBe(1);
  });

  test('answers false once highWaterMark is reached, and true for nothing at all', () => {
    const { batcher } = bench({ highWaterMark: 3 });
    expect(batcher.addItems([])).toBe(true);
    expect(batcher.addItems([1, 2])).toBe(true);
    expect(batcher.addItems([3, 4])).toBe(false);
  });

  test('calls onError for each refused item', () => {
    const { batcher } = bench({
      batchAddItem: (_batch, item) => {
        if (item % 2 === 1) throw new Error(`odd ${item}`);
      },
    });
    batcher.on('refused', () => {});
    const onError = jest.fn();
    batcher.addItems([1, 2, 3, 4], { onError });
    expect(onError.mock.calls).toMatchObject([[{ cause: new Error('odd 1') }], [{ cause: new Error('odd 3') }]]);
    expect(batcher.state.pending).toBe(2);
  });
});

describe('syncAddItem', () => {
  test('resolves when the item is in its batch, without a flush', async () => {
    const { batcher } = bench({ maxBatchSize: 3, batchFlush: sink() });
    await batcher.syncAddItem(1);
    await batcher.syncAddItem(2);
    expect(batcher.state.batch).toEqual({ items: [1, 2] });
  });

  test('waits for its async add hook', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher } = bench({ batchAddItem: add });
    const added = watch(batcher.syncAddItem(1));
    await settled();
    expect(added.state).toBe('pending');
    add.open();
    await settled();
    expect(added.state).toBe('resolved');
  });

  test('3 = 2 at once + 1 that fills the batch and waits until it is settled', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 3, batchFlush: flush });
    const added = [1, 2, 3].map((item) => watch(batcher.syncAddItem(item)));
    await settled();
    expect(added.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'pending']);
    flush.open();
    await settled();
    expect(added[2]?.state).toBe('resolved');
  });

  test('also with an async add hook', async () => {
    const flush = sink();
    const { batcher } = bench({
      maxBatchSize: 3,
      batchFlush: flush,
      batchAddItem: async (batch, item) => void batch.items.push(item),
    });
    const added = [1, 2, 3].map((item) => watch(batcher.syncAddItem(item)));
    await settled();
    expect(added.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'pending']);
    flush.open();
    await settled();
    expect(added[2]?.state).toBe('resolved');
  });

  /** How many of 200 items a producer that awaits each gets in while the sink hangs. */
  async function outrun(options: NumberOptions): Promise<number> {
    const { batcher } = bench({ ...options, batchFlush: sink() });
    let added = 0;
    void (async () => {
      for (let item = 0; item < 200; item++) {
        await batcher.syncAddItem(item);
        added++;
      }
    })();
    for (let i = 0; i < 5; i++) await settled();
    return added;
  }

  test.each<[string, NumberOptions]>([
    ['maxBatchSize', { maxBatchSize: 2 }],
    ['maxBatchWeight, exactly full', { maxBatchWeight: 10, weigh: () => 5 }],
    ['maxBatchWeight, always too heavy', { maxBatchWeight: 10, weigh: () => 60 }],
    ['shouldFlush', { shouldFlush: ({ counts }: { counts: { batchItems: number } }) => counts.batchItems >= 2 }],
  ])('an awaiting producer cannot outrun the sink (%s)', async (_trigger, options) => {
    expect(await outrun(options)).toBeLessThan(10);
  });

  test('nor when each item closes the batch before it: 6 of 10, and 6 more', async () => {
    expect(await outrun({ maxBatchWeight: 10, weigh: () => 6 })).toBeLessThan(10);
  });

  test('nor when shouldFlush closes the batch before each item', async () => {
    let asked = 0;
    expect(await outrun({ shouldFlush: ({ counts }) => asked++ % 2 === 1 && counts.batchItems > 0 })).toBeLessThan(10);
  });

  test('an awaiting producer cannot outrun the sink (maxTimeSinceFirstItem)', async () => {
    const { clock, batcher } = bench({ maxTimeSinceFirstItem: 100, batchFlush: sink() });
    await batcher.syncAddItem(1);
    await clock.advance(100); // in flight
    await batcher.syncAddItem(2);
    await clock.advance(100); // due, and the sink is busy
    const third = watch(batcher.syncAddItem(3));
    await settled();
    expect(third.state).toBe('pending');
  });

  test('rejects with ItemError when its hook refuses the item, and only then', async () => {
    const { batcher } = bench({
      batchAddItem: async (batch, item) => {
        if (item === 2) throw new Error('two');
        batch.items.push(item);
      },
    });
    batcher.on('refused', () => {});
    const added = [1, 2, 3].map((item) => watch(batcher.syncAddItem(item)));
    await settled();
    expect(added.map(({ state }) => state)).toEqual(['resolved', 'rejected', 'resolved']);
    expect(added[1]?.error).toMatchObject({ name: 'ItemError', code: 'ERR_BATCH_ITEM', cause: new Error('two') });
  });
});

describe('deliverItem', () => {
  test('resolves when the batch that holds the item has been delivered', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    const delivered = [1, 2, 3].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(delivered.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);
    flush.open();
    await settled();
    expect(delivered.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'pending']);
  });

  test('waits through failed attempts: 1 => fails => fails => 1', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.on('failed', () => {});
    const delivered = watch(batcher.deliverItem(1));
    flush.fail(new Error('1'));
    await clock.advance(100);
    flush.fail(new Error('2'));
    await clock.advance(200);
    expect(delivered.state).toBe('pending');
    flush.open();
    await settled();
    expect(delivered.state).toBe('resolved');
  });

  test('rejects for a refused item', async () => {
    const { batcher } = bench({ batchAddItem: () => Promise.reject(new Error('no')) });
    batcher.on('refused', () => {});
    await expect(batcher.deliverItem(1)).rejects.toBeInstanceOf(ItemError);
  });
});

describe('signal', () => {
  const verbs = ['syncAddItem', 'deliverItem'] as const;

  test.each(verbs)('%s: aborted before the call leaves the item out', async (verb) => {
    const { batcher } = bench();
    const reason = new Error('mine');
    await expect(batcher[verb](1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(batcher.state).toMatchObject({ pending: 0, counts: { totalItems: 0 } });
  });

  test.each(verbs)('%s: aborted while it waits for room leaves the item out, and the next gets in', async (verb) => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, maxPending: 1, batchFlush: flush });
    batcher.addItem(1);
    const controller = new AbortController();
    const left = watch(batcher[verb](2, { signal: controller.signal }));
    const stays = watch(batcher[verb](3));
    controller.abort('changed my mind');
    await settled();
    expect(left).toMatchObject({ state: 'rejected', error: 'changed my mind' });
    flush.openAll();
    await settled();
    expect(stays.state).toBe('resolved');
    expect(flushedBy(flush)).toEqual([[1], [3]]);
    expectBalanced(batcher);
  });

  test('deliverItem: aborted later, the caller stops waiting and the item stays in', async () => {
    const { batcher, batches } = bench();
    const controller = new AbortController();
    const left = watch(batcher.deliverItem(1, { signal: controller.signal }));
    controller.abort();
    await settled();
    expect(left.state).toBe('rejected');
    expect(left.error).toBe(controller.signal.reason);
    await batcher.flush();
    expect(batches).toEqual([[1]]);
  });

  test('syncAddItem: aborted while the add hook runs, the item stays in', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher } = bench({ batchAddItem: add });
    const controller = new AbortController();
    const left = watch(batcher.syncAddItem(1, { signal: controller.signal }));
    controller.abort();
    await settled();
    expect(left.state).toBe('rejected');
    add.open();
    await settled();
    expect(batcher.state.counts.batchItems).toBe(1);
  });

  test('flush: aborted, the caller stops waiting and the delivery goes on', async () => {
    const flush = sink();
    const { batcher } = bench({ batchFlush: flush });
    batcher.addItem(1);
    const controller = new AbortController();
    const left = watch(batcher.flush({ signal: controller.signal }));
    controller.abort('enough');
    await settled();
    expect(left).toMatchObject({ state: 'rejected', error: 'enough' });
    flush.open();
    await settled();
    expect(batcher.state.pending).toBe(0);
  });
});

describe('flush', () => {
  test('resolves at once when nothing is pending', async () => {
    const { batcher } = bench();
    await batcher.flush();
    batcher.addItem(1);
    await batcher.flush();
    await batcher.flush();
    expect(batcher.state.counts.flushes).toBe(1);
  });

  test('A3: covers what is in flight, what is queued and what is open: 5 = 2+2 (size) + 1 (demand)', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2, 3, 4, 5]);
    const flushed = watch(batcher.flush());
    flush.open();
    await settled();
    flush.open();
    await settled();
    expect(flushed.state).toBe('pending');
    flush.open();
    await settled();
    expect(flushed.state).toBe('resolved');
    expect(flush.calls.map(([, { size, reason }]) => `${size} (${reason})`)).toEqual([
      '2 (size)',
      '2 (size)',
      '1 (demand)',
    ]);
  });

  test('A3: covers items whose async add hook still runs', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher, sizes } = bench({ batchAddItem: add });
    batcher.addItems([1, 2, 3]);
    const flushed = watch(batcher.flush());
    add.open();
    await settled();
    expect(flushed.state).toBe('pending');
    add.openAll();
    await settled();
    expect(flushed.state).toBe('resolved');
    expect(sizes).toEqual(['3 (demand)']);
  });

  test('A3: does not wait for items accepted after the call: 1 (demand), then 1', async () => {
    const flush = sink();
    const { batcher } = bench({ batchFlush: flush });
    batcher.addItem(1);
    const flushed = watch(batcher.flush());
    batcher.addItem(2);
    flush.open();
    await settled();
    expect(flushed.state).toBe('resolved');
    expect(flushedBy(flush)).toEqual([[1]]);
    expect(batcher.state.batch).toEqual({ items: [2] });
  });

  test('A3: concurrent calls neither skip nor repeat a batch', async () => {
    const flush = sink();
    const { batcher } = bench({ batchFlush: flush });
    const flushes = [1, 2, 3].map((item) => {
      batcher.addItem(item);
      return watch(batcher.flush());
    });
    const last = watch(batcher.flush());
    flush.openAll();
    await settled();
    expect([...flushes, last].map(({ state }) => state)).toEqual(Array(4).fill('resolved'));
    expect(flushedBy(flush).flat()).toEqual([1, 2, 3]);
  });

  test('resolves although every item it covers was refused', async () => {
    const add = gate<unknown[], undefined>();
    const { batcher } = bench({ batchAddItem: add });
    batcher.on('refused', () => {});
    batcher.addItems([1, 2]);
    const flushed = watch(batcher.flush());
    add.fail(new Error('no'));
    await settled();
    add.fail(new Error('no'));
    await settled();
    expect(flushed.state).toBe('resolved');
    expectBalanced(batcher);
  });

  test('rejects with TimeoutError after its timeout; the delivery goes on', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ batchFlush: flush });
    batcher.addItem(1);
    const flushed = watch(batcher.flush({ timeout: 500 }));
    await clock.advance(499);
    expect(flushed.state).toBe('pending');
    await clock.advance(1);
    expect(flushed.error).toBeInstanceOf(TimeoutError);
    expect(flushed.error).toMatchObject({ code: 'ERR_BATCH_TIMEOUT', timeout: 500 });
    flush.open();
    await settled();
    expect(batcher.state.counts.delivered).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a timer rang for ever for the timeout of a flush that was settled, once a later one had timed out', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.addItem(1);
    const first = watch(batcher.flush({ timeout: 100 }));
    batcher.addItem(2);
    const second = watch(batcher.flush({ timeout: 50 }));
    flush.open();
    await clock.advance(50);
    expect([first.state, second.state]).toEqual(['resolved', 'rejected']);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(50);
  });

  test('the timeout holds no timer once it is settled', async () => {
    const { clock, batcher } = bench();
    batcher.addItem(1);
    await batcher.flush({ timeout: 500 });
    expect(clock.pendingTimers).toBe(0);
  });

  test.each([{ timeout: -1 }, { timeout: 'soon' }, { signal: 5 }, { tiemout: 5 }, 5])(
    '%j: wrong options throw OptionsError',
    (options) => {
      const { batcher } = bench();
      expect(() => void batcher.flush(options as never)).toThrow(OptionsError);
    },
  );
});

test('A4: the promises of the verbs may be ignored: no failure of theirs is an unhandled rejection', async () => {
  const stray = await strayErrors(async () => {
    const { clock, batcher } = bench({
      retry: false,
      giveUp: 'drop',
      maxPending: 3,
      overflow: 'reject',
      batchFlush: () => Promise.reject(new Error('sink')),
      batchAddItem: (_batch, item) => {
        if (item === 2) throw new Error('two');
      },
    });
    batcher.on('refused', () => {});
    batcher.on('dropped', () => {});
    void batcher.deliverItem(1);
    void batcher.syncAddItem(2);
    void batcher.deliverItem(3, { signal: AbortSignal.timeout(0) });
    void batcher.deliverItem(4);
    void batcher.deliverItem(5);
    void batcher.flush({ timeout: 0 });
    void batcher.flush({ signal: AbortSignal.abort() });
    await clock.advance(100);
    void batcher.close({ timeout: 0 });
    await settled();
    void batcher.syncAddItem(6);
    await clock.advance(100_000);
    await expect(batcher.deliverItem(7)).rejects.toBeInstanceOf(ClosedError);
  });
  expect(stray).toEqual([]);
});

test('A2: an awaited item that its hook refuses rejects with its own error, also if others are refused meanwhile', async () => {
  const { batcher } = bench({
    maxBatchSize: 100,
    batchAddItem: (batch, item) => {
      if (item === 3) batcher.addItems([4, 5]);
      if (item === 3 || item === 5) throw new Error(`no ${item}`);
      batch.items.push(item);
    },
  });
  batcher.on('refused', () => {});
  batcher.addItems([1, 2]);
  const added = watch(batcher.deliverItem(3));
  await settled();
  expect(added.state).toBe('rejected');
  expect(added.error).toMatchObject({ name: 'ItemError', cause: new Error('no 3') });
  batcher.clear();
});

test.each([
  ['delivered', () => undefined],
  [
    'given up',
    () => {
      throw new Error('down');
    },
  ],
])(
  'the promises of items that are %s settle in their order, before the flush() that covers them',
  async (_, batchFlush) => {
    const { batcher } = bench({ retry: false, giveUp: 'drop', batchFlush });
    const order: unknown[] = [];
    const note = (name: string) => (): void => void order.push(name);
    for (const item of [1, 2]) void batcher.deliverItem(item).then(note(`${item}`), note(`${item}`));
    void batcher.flush().then(note('flush'), note('flush'));
    await settled();
    expect(order).toEqual(['1', '2', 'flush']);
  },
);
