import { KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';

/** A collector by delegation, as for logging. */
class Wrapper<Item> {
  readonly #inner: MemoryBatcher<Item>;

  constructor(options: ConstructorParameters<typeof MemoryBatcher<Item>>[0]) {
    this.#inner = new MemoryBatcher(options);
    for (const verb of ['addItem', 'syncAddItem', 'deliverItem', 'flush', 'close', 'clear', 'pause', 'resume', 'on']) {
      Object.assign(this, { [verb]: (Reflect.get(this.#inner, verb) as () => unknown).bind(this.#inner) });
    }
  }

  get state(): MemoryBatcher<Item>['state'] {
    return this.#inner.state;
  }
}

test.each([
  ['', MemoryBatcher],
  [' of a collector that wraps another one', Wrapper],
])('a retry%s that waited for the lane began at the moment at which close() ran out of time', async (_, Collector) => {
  const clock = new TestClock();
  const sink = gate();
  const starts: unknown[] = [];
  const batcher = new KeyedBatcher<string, string>({
    clock,
    key: (item) => item,
    batcher: (_key, options) => new Collector<string>(options) as never,
    maxBatchSize: 1,
    retry: { jitter: false, minDelay: 20 },
    batchFlush: ({ items }, { attempt }) => {
      starts.push([clock.now(), items[0], attempt]);
      if (attempt === 1) throw new Error('no');
      return sink();
    },
  });
  batcher.on('failed', () => {});
  batcher.pause();
  batcher.addItems(['a', 'b']);
  const closed = batcher.close({ timeout: 50 }).catch((error: unknown) => error);
  await clock.advance(50);
  expect(await closed).toMatchObject({ name: 'CloseError', undelivered: 2 });
  await clock.advance(100);
  expect(starts).toEqual([
    [0, 'a', 1],
    [0, 'b', 1],
    [20, 'a', 2],
  ]);
  sink.openAll();
  await clock.advance(100);
  expect(starts).toHaveLength(3);
  expect(clock.pendingTimers).toBe(0);
});

test.each([
  ['of other keys', ['a1', 'b1', 'c1'], 1],
  ['of one key', ['a1', 'a2', 'a3'], 3],
])('while closing, flushTimeout ran while retries %s waited for a lane', async (_, items, keyConcurrency) => {
  const clock = new TestClock();
  const starts: unknown[] = [];
  const failed: unknown[] = [];
  const batcher = new KeyedBatcher<string, string>({
    clock,
    key: (item) => item.charAt(0),
    maxBatchSize: 1,
    keyConcurrency,
    flushTimeout: 15,
    retry: { jitter: false },
    batchFlush: async ({ items: [item] }, { attempt }) => {
      starts.push([clock.now(), item]);
      if (attempt === 1) throw new Error('not now');
      await new Promise<void>((resolve) => void clock.setTimer(resolve, 10));
    },
  });
  batcher.on('failed', ({ error }) => failed.push((error as Error).message));
  batcher.pause();
  batcher.addItems(items);
  const closed = batcher.close();
  await clock.advance(200);
  expect(failed).toEqual(['not now', 'not now', 'not now']);
  expect(starts).toEqual([...items.map((item) => [0, item]), ...items.map((item, i) => [100 + 10 * i, item])]);
  await closed;
});

test.each([
  [0, []],
  [5, ['a']],
  // Node's timers drop fractions of a millisecond, and come before this deadline.
  [5.5, ['a']],
])('close({ timeout: %d }) began or dropped batches of keys that had no lane until then', async (timeout, begun) => {
  const clock = new TestClock();
  const starts: string[] = [];
  const dead: unknown[] = [];
  const batcher = new KeyedBatcher<string, string>({
    clock: {
      now: () => clock.now(),
      setTimer: (fn, ms) => clock.setTimer(fn, Math.max(1, Math.trunc(ms))),
      clearTimer: (handle) => {
        clock.clearTimer(handle);
      },
    },
    key: (item) => item,
    maxBatchSize: 1,
    retry: false,
    giveUp: 'drop',
    batchDeadLetter: ({ items }) => void dead.push(items),
    batchFlush: ({ items }) => {
      starts.push(...items);
      return new Promise(() => undefined);
    },
  });
  batcher.pause();
  batcher.addItems(['a', 'b', 'c']);
  const closed = batcher.close({ timeout }).catch((error: unknown) => error);
  await clock.advance(2000);
  expect(await closed).toMatchObject({ name: 'CloseError', undelivered: 3 });
  expect({ starts, dead }).toEqual({ starts: begun, dead: [] });
});

test('a collector that wraps another one began attempts without a lane while the KeyedBatcher closed', async () => {
  const clock = new TestClock();
  const batcher = new KeyedBatcher<number, string>({
    clock,
    key: () => 'k',
    batcher: (_key, options) => new Wrapper(options) as never,
    maxBatchSize: 1,
    keyConcurrency: 3,
    flushTimeout: 15,
    retry: false,
    giveUp: 'drop',
    batchFlush: () => new Promise<void>((resolve) => void clock.setTimer(resolve, 10)),
  });
  batcher.pause();
  batcher.addItems([1, 2, 3, 4]);
  const closed = batcher.close();
  await clock.advance(200);
  expect(batcher.state.counts).toMatchObject({ delivered: 4, dropped: 0 });
  await closed;
});
