import { BatchPlease } from 'batch-please';
import { MemoryBatcher, type MemoryBatch } from 'batch-please/collectors';
import { MemoryBatcher as Alone } from 'batch-please/collectors/memory';
import { bench } from '../support/collectors.js';

test('needs no subclass: items arrive in the order of their adding', async () => {
  const inserted: string[][] = [];
  const batcher = new MemoryBatcher({
    maxBatchSize: 2,
    batchFlush: ({ items }: MemoryBatch<string>) => void inserted.push(items),
  });
  batcher.addItems(['a', 'b', 'c']);
  await batcher.close();
  expect(inserted).toEqual([['a', 'b'], ['c']]);
});

test('the open batch, seen in the state, is in that order, too', () => {
  const { batcher } = bench();
  batcher.addItems([1, 2, 3]);
  expect(batcher.state.batch).toEqual({ items: [1, 2, 3] });
});

test('2 => fails => 2 (retry): a retried batch is in that order again', async () => {
  let failures = 1;
  const seen: number[][] = [];
  const { batcher } = bench({
    retry: false,
    batchFlush: ({ items }) => {
      seen.push([...items]);
      if (failures-- > 0) throw new Error('no');
    },
  });
  batcher.on('held', () => {});
  batcher.addItems([1, 2, 3]);
  await expect(batcher.flush()).rejects.toThrow();
  await batcher.flush();
  expect(seen).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
});

test('each batch has an array of its own, which the flush may keep and change', async () => {
  const kept: number[][] = [];
  const { batcher } = bench({ maxBatchSize: 2, batchFlush: ({ items }) => void kept.push(items) });
  batcher.addItems([1, 2]);
  kept[0]?.push(99);
  batcher.addItems([3, 4]);
  expect(kept).toEqual([
    [1, 2, 99],
    [3, 4],
  ]);
});

test('can be subclassed, and its hooks overridden', async () => {
  const seen: number[][] = [];
  class Unique extends MemoryBatcher<number> {
    override batchAddItem(batch: MemoryBatch<number>, item: number): void {
      if (!batch.items.includes(item)) super.batchAddItem(batch, item);
    }
    override batchFlush({ items }: MemoryBatch<number>): void {
      seen.push(items);
    }
  }
  const batcher = new Unique({ maxBatchSize: 4 });
  batcher.addItems([1, 1, 2, 2]);
  await batcher.close();
  expect(seen).toEqual([[1, 2]]);
});

test('without batchFlush the first add says so', () => {
  expect(() => new MemoryBatcher<number>().addItem(1)).toThrow(/MemoryBatcher has no batchFlush/);
});

test('is a BatchPlease, and the same through its own entry point', () => {
  expect(new Alone<number>()).toBeInstanceOf(BatchPlease);
  expect(Alone).toBe(MemoryBatcher);
});
