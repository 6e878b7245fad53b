import { BatchPlease, PartialFlushError, TooLargeError } from 'batch-please';
import { TestClock } from 'batch-please/testing';
import { bench, errorWith, settled, sink, watch } from '../support/collectors.js';

const NO_JITTER = { jitter: false } as const;

test('what was given up of a batch was said to have taken the time that it then waited for a lane', async () => {
  const { clock, batcher } = bench({
    retry: { ...NO_JITTER, delay: ({ error }) => (error === 'useless' ? false : 1000) },
    batchFlush: async (_batch, { attempt }) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10));
      if (attempt === 1) throw new PartialFlushError(['busy', 'useless']);
    },
  });
  const held = jest.fn();
  batcher.on('held', held);
  batcher.on('failed', () => {});
  batcher.addItems([1, 2]);
  void batcher.flush();
  await clock.advance(2000);
  expect(held).toHaveBeenCalledTimes(1);
  expect(held).toHaveBeenCalledWith(expect.objectContaining({ size: 1, attempt: 1, duration: 10 }));
});

test('an item that had stepped aside was said to have taken the time until it was held', async () => {
  const { clock, batcher } = bench({
    maxBatchSize: 1,
    giveUp: 'split',
    retry: { attempts: 1 },
    batchFlush: async () => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10));
      throw new Error('down');
    },
  });
  const durations: number[] = [];
  batcher.on('failed', ({ duration }) => durations.push(duration));
  batcher.on('held', ({ duration }) => durations.push(duration));
  batcher.addItems([1, 2]);
  await clock.advance(100);
  expect(durations).toEqual([10, 10, 10, 10]);
});

test('a half of a too large batch that waited for a lane was shown as due at -Infinity', async () => {
  const flush = sink();
  const { batcher } = bench({
    batchFlush: (batch, context) => {
      if (batch.items.length > 1) throw new TooLargeError();
      return flush(batch, context);
    },
  });
  batcher.addItems([1, 2]);
  void batcher.flush();
  await settled();
  expect(batcher.state.batches).toMatchObject([
    { size: 1, attempt: 1, status: 'running', retryAt: undefined },
    { size: 1, attempt: 0, status: 'queued', retryAt: undefined },
  ]);
  flush.openAll();
  await batcher.close();
  expect(batcher.state.counts).toMatchObject({ delivered: 2, flushes: 2 });
});

test('drained was emitted when close() had given up what was pending', async () => {
  const { batcher } = bench({ retry: false, batchFlush: () => Promise.reject(new Error('down')) });
  const seen: unknown[] = [];
  batcher.on('drained', () => seen.push(`drained with ${batcher.state.pending} pending`));
  batcher.on('closed', ({ undelivered }) => seen.push(undelivered));
  batcher.addItem(1);
  await expect(batcher.close()).rejects.toThrow('closed with 1 undelivered');
  expect(seen).toEqual([1]);
});

test('a timeout said the limit that configure() had set after the attempt had begun', async () => {
  const { clock, batcher } = bench({ flushTimeout: 100, retry: false, batchFlush: sink() });
  const held = jest.fn();
  batcher.on('held', held);
  batcher.addItem(1);
  void batcher.flush();
  await clock.advance(50);
  batcher.configure({ flushTimeout: null });
  await clock.advance(50);
  const error = errorWith({ timeout: 100, message: 'a flush took longer than 100 ms' });
  expect(held).toHaveBeenCalledWith(expect.objectContaining({ duration: 100, error }));
});

test('the timeout of an add hook said the limit that configure() had set after it had begun', async () => {
  const { clock, batcher } = bench({ flushTimeout: 100, batchAddItem: () => new Promise<void>(() => {}) });
  const added = watch(batcher.syncAddItem(1));
  await clock.advance(50);
  batcher.configure({ flushTimeout: 5000 });
  await clock.advance(50);
  expect(added.error).toMatchObject({ hook: 'batchAddItem', cause: errorWith({ timeout: 100 }) });
});

test('an item that batchAddItems refused was said to be refused by batchAddItem', async () => {
  class Groups extends BatchPlease<number, number[]> {
    override batchInit(): number[] {
      return [];
    }
    override batchAddItems(batch: number[], items: readonly number[]): (Error | undefined)[] {
      batch.push(...items);
      return items.map((item) => (item === 2 ? new Error('no 2') : undefined));
    }
    override batchFlush(): void {}
  }
  const batcher = new Groups({ clock: new TestClock() });
  batcher.on('refused', () => {});
  const adds = [1, 2].map((item) => watch(batcher.syncAddItem(item)));
  await settled();
  expect(adds[1]?.error).toMatchObject({
    hook: 'batchAddItems',
    message: 'an item was refused by batchAddItems: no 2',
  });
  await batcher.close();
});

test('close() listed a batch that failed first before an older one', async () => {
  const fails: ((error: unknown) => void)[] = [];
  const { batcher } = bench({
    maxBatchSize: 1,
    flushConcurrency: 2,
    retry: false,
    batchFlush: () => new Promise((_, reject) => fails.push(reject)),
  });
  batcher.addItems([1, 2]);
  const closed = watch(batcher.close());
  fails[1]?.('down');
  await settled();
  fails[0]?.('down');
  await settled();
  expect(closed.error).toMatchObject({ undelivered: 2, batches: [{ items: [1] }, { items: [2] }] });
});
