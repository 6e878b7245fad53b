import { MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';

const ITEMS = 500;

/** How long the work takes, in ms, at best of two. */
async function cost(work: () => unknown): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Ten times as much takes at most thirty times as long; quadratic would be a hundred times. */
async function expectLinear(work: (count: number) => unknown): Promise<void> {
  await work(ITEMS);
  const [few, many] = [await cost(() => work(ITEMS)), await cost(() => work(10 * ITEMS))];
  expect(many).toBeLessThan(30 * Math.max(few, 2));
}

/** As many sealed batches of one behind a sink that never answers. */
function backlog(count: number, options: ConstructorParameters<typeof MemoryBatcher<number>>[0] = {}) {
  const clock = new TestClock();
  const batcher = new MemoryBatcher<number>({
    clock,
    maxBatchSize: 1,
    batchFlush: () => new Promise(() => undefined),
    ...options,
  });
  for (const event of ['failed', 'dropped', 'closed', 'refused'] as const) batcher.on(event, () => undefined);
  const promises = Array.from({ length: count }, (_, i) => batcher.deliverItem(i));
  return { batcher, clock, outcomes: Promise.allSettled(promises) };
}

describe('A10: the cost is linear in the batches that wait', () => {
  test('of clear()', () =>
    expectLinear((count) => {
      const { batcher } = backlog(count);
      expect(batcher.clear()).toHaveLength(count - 1);
      expect(batcher.state.pending).toBe(1);
    }));

  test('of close() that gives up', () =>
    expectLinear(async (count) => {
      const { batcher, outcomes } = backlog(count);
      await expect(batcher.close({ timeout: 0 })).rejects.toMatchObject({ undelivered: count });
      expect((await outcomes).filter(({ status }) => status === 'rejected')).toHaveLength(count);
    }));

  test("of overflow: 'dropOldest'", () =>
    expectLinear((count) => {
      const { batcher } = backlog(count, { maxPending: count, overflow: 'dropOldest' });
      for (let i = 0; i < count; i++) batcher.addItem(i);
      expect(batcher.state.counts.dropped).toBe(count);
    }));

  test("of giveUp: 'drop' when every attempt fails", () =>
    expectLinear(async (count) => {
      const { batcher, outcomes } = backlog(count, {
        retry: false,
        giveUp: 'drop',
        batchFlush: () => Promise.reject(new Error('down')),
      });
      await batcher.flush().catch(() => undefined);
      await outcomes;
      expect(batcher.state.counts).toMatchObject({ dropped: count, delivered: 0 });
    }));
});

test('A10: unlimited lanes cost no more than one for a sink that answers at once', async () => {
  const run = (flushConcurrency: number) => async (): Promise<void> => {
    const { batcher, outcomes } = backlog(ITEMS, { flushConcurrency, batchFlush: () => undefined });
    await outcomes;
    expect(batcher.state.counts.delivered).toBe(ITEMS);
  };
  await run(1)();
  await run(Infinity)();
  const [one, unlimited] = [await cost(run(1)), await cost(run(Infinity))];
  expect(unlimited).toBeLessThan(10 * Math.max(one, 2));
});
