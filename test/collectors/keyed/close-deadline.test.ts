import { KeyedBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';

test('a retry that waited for the lane began at the moment at which close() ran out of time', async () => {
  const clock = new TestClock();
  const sink = gate();
  const starts: unknown[] = [];
  const batcher = new KeyedBatcher<string, string>({
    clock,
    key: (item) => item,
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
