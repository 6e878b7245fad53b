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
