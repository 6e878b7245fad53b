import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import { cost, expectLinear as linear } from '../support/cost.js';

const ITEMS = 4000;
const expectLinear = (work: (count: number) => unknown): Promise<void> => linear(work, ITEMS);

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

const fails = () => Promise.reject(new Error('down'));

function abortable() {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    abort: () => {
      controller.abort(new Error('left'));
    },
  };
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

  test('of close({ flush: false }), which leaves what waits', () =>
    expectLinear(async (count) => {
      const { batcher, clock, outcomes } = backlog(count, { retry: { minDelay: 1e6 }, batchFlush: fails });
      await clock.advance(0);
      await batcher.close({ flush: false });
      expect((await outcomes).filter(({ status }) => status === 'rejected')).toHaveLength(count);
    }));

  test.each(['syncAddItem', 'flush'] as const)('of an abort that all callers of %s wait with', (verb) =>
    expectLinear(async (count) => {
      const { batcher } = backlog(1, { maxPending: 1 });
      const { signal, abort } = abortable();
      const calls = Array.from({ length: count }, (_, i) =>
        verb === 'flush' ? batcher.flush({ signal }) : batcher.syncAddItem(i, { signal }),
      );
      abort();
      expect((await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected')).toHaveLength(count);
    }),
  );

  test('of aborts one by one, from the last to the first', () =>
    expectLinear(async (count) => {
      const { batcher } = backlog(1, { maxPending: 1 });
      const aborts = Array.from({ length: count }, abortable);
      const calls = aborts.map(({ signal }, i) => batcher.syncAddItem(i, { signal }));
      for (const { abort } of aborts.reverse()) abort();
      expect((await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected')).toHaveLength(count);
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
  const [one, unlimited] = [run(1), run(Infinity)];
  await one();
  await unlimited();
  expect(await cost(unlimited)).toBeLessThan(10 * (await cost(one)));
});

// Real time: the fault is that a look takes longer than the millisecond until the next one.
test('A10: adds while tens of thousands of expired attempts wait for the timer looked at all of them each', async () => {
  const run = async (options: { flushTimeout?: number }): Promise<void> => {
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 1,
      flushConcurrency: Infinity,
      retry: { minDelay: 1e6, maxDelay: 1e6 },
      batchFlush: () => new Promise(() => undefined),
      ...options,
    });
    batcher.on('failed', () => undefined);
    // The first expire while the last are being added.
    for (let i = 0; i < 60_000; i++) batcher.addItem(i);
    await batcher.close({ timeout: 200 }).catch(() => undefined);
  };
  await run({});
  const without = await cost(() => run({}));
  expect(await cost(() => run({ flushTimeout: 50 }))).toBeLessThan(6 * without);
});

describe('A5: memory stays flat however often it goes wrong', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;

  // A leak of one batch, waiter or context a round would be over 1 MB.
  const FLAT = 600_000;

  /**
   * Bytes that the heap has grown by over 4000 rounds, after as many to warm up. Measured again if that is too much: a leak
   * grows every time, what is compiled late does not.
   */
  async function growth(round: (i: number) => unknown): Promise<number> {
    let [before, grown] = [0, Infinity];
    for (let part = 0; part < 4 && grown >= FLAT; part++) {
      for (let i = 0; i < 4000; i++) await round(i);
      gc();
      const { heapUsed } = process.memoryUsage();
      if (part > 0) grown = heapUsed - before;
      before = heapUsed;
    }
    return grown;
  }

  test('of flush() behind a sink that hangs, with and without a signal that aborts', async () => {
    const { batcher } = backlog(1, { maxPending: 500, maxBatchSize: 100, overflow: 'dropOldest' });
    const grown = await growth((i) => {
      batcher.addItem(i);
      void batcher.flush();
      const { signal, abort } = abortable();
      void batcher.flush({ signal });
      abort();
    });
    expect(grown).toBeLessThan(FLAT);
  });

  test('of attempts that time out, of one batch', async () => {
    const { batcher, clock } = backlog(1, { flushTimeout: 1, retry: { minDelay: 1, maxDelay: 1, jitter: false } });
    expect(await growth(() => clock.advance(2))).toBeLessThan(FLAT);
    expect(batcher.state.batches[0]?.attempt).toBeGreaterThan(3000);
  });

  test('of a batchPostFlush that fails, with maxPending', async () => {
    const { batcher } = backlog(0, { maxPending: 10, batchFlush: () => undefined, batchPostFlush: fails });
    batcher.on('refused', () => {});
    // The first batch keeps the lane for its postFlush; nothing behind it is more than pending.
    expect(await growth((i) => batcher.addItem(i))).toBeLessThan(FLAT);
    expect(batcher.state.pending).toBeLessThanOrEqual(10);
  });

  test('of clear(), also while callers wait for room', async () => {
    const { batcher } = backlog(0, { maxPending: 2, maxBatchSize: 10 });
    batcher.pause();
    const grown = await growth((i) => {
      batcher.addItem(i);
      void batcher.deliverItem(i);
      void batcher.syncAddItem(i);
      batcher.clear();
      batcher.clear();
    });
    expect(grown).toBeLessThan(FLAT);
  });
});
