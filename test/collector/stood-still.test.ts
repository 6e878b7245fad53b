import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyedBatcher, MemoryBatcher } from '../../collectors/index.js';

// Real time, and a loop that is really blocked: what a process finds in its sockets and timers afterwards is the point.
// The limits are wide: a busy machine may take its time with an answer.
const LIMIT = 250;
const STILL = 600;

function standStill(): void {
  for (const start = performance.now(); performance.now() - start < STILL;);
}

/** Answers from outside the loop, and by a timer: both have come long before the loop is free again. */
const answers = { 'a file': () => stat(__filename), 'a timer': () => sleep(5) };

describe.each(Object.entries(answers))('a process that stood still while %s answered', (_, answer) => {
  function make(): { batcher: MemoryBatcher<number>; attempts: number[][]; failed: unknown[] } {
    const attempts: number[][] = [];
    const failed: unknown[] = [];
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 1,
      flushConcurrency: 2,
      flushTimeout: LIMIT,
      retry: { minDelay: 1 },
      batchFlush: async ({ items }) => {
        attempts.push([...items]);
        await answer();
      },
    });
    batcher.on('failed', ({ error }) => failed.push(error));
    return { batcher, attempts, failed };
  }

  test('an add at its end does not take the answer for a timeout, and nothing is delivered twice (A11)', async () => {
    const { batcher, attempts, failed } = make();
    batcher.addItem(1);
    standStill();
    batcher.addItem(2);
    await batcher.flush();
    expect({ attempts, failed }).toEqual({ attempts: [[1], [2]], failed: [] });
    await batcher.close();
  });

  test('the answer that is read first does not fail that of the other lane', async () => {
    const { batcher, attempts, failed } = make();
    batcher.addItems([1, 2]);
    standStill();
    await batcher.flush();
    expect({ attempts, failed }).toEqual({ attempts: [[1], [2]], failed: [] });
    await batcher.close();
  });

  test('close() and flush() are not out of time before the answers are read', async () => {
    const { batcher, attempts } = make();
    batcher.addItems([1, 2]);
    const flushed = batcher.flush({ timeout: LIMIT / 2 });
    const closed = batcher.close({ timeout: LIMIT / 2 });
    standStill();
    expect(await Promise.allSettled([flushed, closed])).toMatchObject([
      { status: 'fulfilled' },
      { status: 'fulfilled' },
    ]);
    expect(attempts).toEqual([[1], [2]]);
  });
});

test('a hook that blocks the loop and then adds does not expire its own attempt', async () => {
  const attempts: number[] = [];
  const batcher: MemoryBatcher<number> = new MemoryBatcher<number>({
    maxBatchSize: 1,
    flushTimeout: LIMIT,
    batchFlush: ({ items }, { attempt }) => {
      attempts.push(attempt);
      if (items[0] !== 1) return;
      standStill();
      batcher.addItem(2);
      return Promise.resolve();
    },
  });
  batcher.addItem(1);
  await batcher.close();
  expect(attempts).toEqual([1, 1]);
});

test('what has not answered after the loop was read is a timeout all the same', async () => {
  const errors: unknown[] = [];
  const batcher = new MemoryBatcher<number>({
    maxBatchSize: 1,
    flushTimeout: LIMIT,
    retry: false,
    giveUp: 'drop',
    batchFlush: () => new Promise<void>(() => undefined),
  });
  batcher.on('dropped', ({ error }) => errors.push(error));
  batcher.addItem(1);
  standStill();
  batcher.addItem(2);
  expect(batcher.state.counts.dropped).toBe(0);
  await batcher.flush().catch(() => undefined); // the batch of the other item is attempted only now
  expect(errors).toMatchObject([{ name: 'TimeoutError' }]);
  await batcher.close().catch(() => undefined);
});

test('a KeyedBatcher took the answer for a timeout, and delivered it twice', async () => {
  const attempts: number[][] = [];
  const batcher = new KeyedBatcher<number, string>({
    key: () => 'one',
    maxBatchSize: 1,
    flushTimeout: LIMIT,
    retry: { minDelay: 1 },
    batchFlush: async ({ items }) => {
      attempts.push([...items]);
      await sleep(5);
    },
  });
  batcher.on('failed', () => undefined);
  batcher.addItem(1);
  standStill();
  batcher.addItem(2);
  await batcher.flush();
  expect(attempts).toEqual([[1], [2]]);
  await batcher.close();
});
