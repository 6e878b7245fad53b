import { ClosedError, PartialFlushError } from 'batch-please';
import type { MemoryBatch } from 'batch-please/collectors';
import { bench, expectBalanced, settled, watch } from '../support/collectors.js';

type Bench = ReturnType<typeof bench>;

/** What a hook or callback does to the batcher while the fate of a batch is being decided. */
const CALLS: Record<string, (batcher: Bench['batcher']) => unknown> = {
  clear: (batcher) => batcher.clear(),
  'an add that drops the oldest batch': (batcher) => batcher.addItem(9),
};

describe('A12: a batch whose fate is being decided is in flight', () => {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name} within batchSplit leaves it alone: each item is handed over once`, async () => {
      let failures = 0;
      const returned: unknown[] = [];
      const batches: number[][] = [];
      const { clock, batcher } = bench({
        maxBatchSize: 2,
        maxPending: 2,
        overflow: 'dropOldest',
        retry: { jitter: false },
        batchSplit: (batch: MemoryBatch<number>, indexes) => {
          const answer = call(batcher);
          if (Array.isArray(answer)) returned.push(...(answer as unknown[]));
          const items = indexes.map((index) => batch.items[index] as number);
          batch.items = batch.items.filter((_, index) => !indexes.includes(index));
          return { items };
        },
        batchFlush: ({ items }) => {
          if (failures++ === 0) throw new PartialFlushError([[0, new Error('busy')]]);
          batches.push([...items]);
        },
      });
      batcher.on('failed', () => {});
      batcher.on('dropped', () => {});
      batcher.on('refused', () => {});
      const adds = [1, 2].map((item) => watch(batcher.deliverItem(item)));
      await settled();
      expect(batcher.state).toMatchObject({ pending: 1, counts: { delivered: 1, returned: 0, dropped: 0 } });
      await clock.advance(100);
      await batcher.close();
      expect(returned).toEqual([]);
      expect(batches).toEqual([[1]]);
      expect(adds.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
      expectBalanced(batcher);
    });

    test(`${name} within retry.delay leaves it alone`, async () => {
      let failures = 0;
      const batches: number[][] = [];
      const { clock, batcher } = bench({
        maxBatchSize: 2,
        maxPending: 2,
        overflow: 'dropOldest',
        retry: { jitter: false, attempts: 2, delay: () => void call(batcher) },
        batchFlush: ({ items }) => {
          if (failures++ === 0) throw new Error('busy');
          batches.push([...items]);
        },
      });
      batcher.on('failed', () => {});
      batcher.on('refused', () => {});
      const adds = [1, 2].map((item) => watch(batcher.deliverItem(item)));
      await clock.advance(100);
      expect(batches).toEqual([[1, 2]]);
      expect(adds.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
      expectBalanced(batcher);
    });
  }

  test('clear() by a listener of context.signal, when close() gives up, takes nothing that CloseError has', async () => {
    const returned: unknown[] = [];
    const { clock, batcher } = bench({
      batchFlush: (_batch, { signal }) => {
        signal.addEventListener('abort', () => void returned.push(...batcher.clear()));
        return new Promise(() => {});
      },
    });
    batcher.on('closed', () => {});
    batcher.addItem(1);
    const closed = watch(batcher.close({ timeout: 10 }));
    await clock.advance(2000);
    expect(closed.error).toMatchObject({ undelivered: 1 });
    expect(returned).toEqual([]);
    expectBalanced(batcher);
  });

  test.each(['a listener of context.signal', "a listener of 'failed'"])(
    'what %s clears, while close() gives up the batch in front of it, is not reported by close(): 2 = 1 left + 1 returned',
    async (where) => {
      const returned: number[] = [];
      const late = where.includes('signal');
      const clear = (): void => {
        for (const { items } of batcher.clear()) returned.push(...items);
      };
      const { clock, batcher } = bench({
        maxBatchSize: 1,
        flushConcurrency: 2,
        retry: { minDelay: 100, jitter: false },
        batchFlush: ({ items }, { signal }) => {
          if (items[0] === 2) throw new Error('busy');
          if (!late) return undefined;
          signal.addEventListener('abort', clear);
          return new Promise(() => {});
        },
        batchPostFlush: () => (late ? undefined : new Promise<void>(() => {})),
      });
      batcher.addItems([1, 2]);
      batcher.on('failed', ({ error }) => {
        if (!late && error instanceof ClosedError) clear();
      });
      batcher.on('closed', () => {});
      const closed = watch(batcher.close({ timeout: 0 }));
      await clock.advance(2000);
      const undelivered = (closed.error as { undelivered?: number } | undefined)?.undelivered ?? 0;
      expect({ returned, undelivered }).toEqual({ returned: [2], undelivered: late ? 1 : 0 });
      expectBalanced(batcher);
    },
  );
});
