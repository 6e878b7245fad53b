import { BatchError } from 'batch-please';
import { KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';
import { expectBalanced } from '../../support/collectors.js';
import { gated, note, notes } from './support.js';

async function microtasks(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

describe('callers that wait for a key', () => {
  test('A7: one was overtaken by later items of its key, which another caller had made', async () => {
    const { batcher, began, sink } = gated({ maxKeys: 1, maxBatchSize: 1 });
    batcher.addItem(note('a1'));
    const adds = notes('b1 c1 b2').map((item) => batcher.deliverItem(item));
    sink.open();
    await microtasks();
    batcher.addItem(note('b3')); // b is kept now
    sink.openAll();
    await Promise.all(adds);
    await batcher.flush();
    expect(began().filter((line) => line.startsWith('b'))).toEqual(['b:1 size', 'b:2 size', 'b:3 size']);
    await batcher.close();
    expectBalanced(batcher);
  });

  test('A7: two of a key whose last collector was slow to close were let in the other way round', async () => {
    const clock = new TestClock();
    const closing = gate<[], void>();
    const seen: string[] = [];
    const batcher = new KeyedBatcher<string, string>({
      clock,
      key: (item) => item.slice(0, 1),
      idleTimeout: 10,
      batchFlush: ({ items }) => void seen.push(...items),
      batcher: (key, options) =>
        new MemoryBatcher<string>({ ...options, ...(key === 'a' && { batchTerminate: () => closing() }) }),
    });
    batcher.addItem('a0');
    await batcher.flush();
    await clock.advance(10); // a is given up, and its collector closes
    const adds = ['a1', 'a2'].map((item) => batcher.syncAddItem(item));
    batcher.configure({}); // a look at who may come in
    closing.openAll();
    await Promise.all(adds);
    await batcher.close();
    expect(seen).toEqual(['a0', 'a1', 'a2']);
  });

  test('A2: a caller that left did not let in those that had waited for no more than that', async () => {
    const clock = new TestClock();
    const closing = gate<[], void>();
    const batcher = new KeyedBatcher<string, string>({
      clock,
      key: (item) => item.slice(0, 1),
      idleTimeout: 10,
      batchFlush: () => {},
      batcher: (key, options) =>
        new MemoryBatcher<string>({ ...options, ...(key === 'a' && { batchTerminate: () => closing() }) }),
    });
    batcher.addItem('a0');
    await batcher.flush();
    await clock.advance(10);
    const leaves = new AbortController();
    void batcher.syncAddItem('a1', { signal: leaves.signal });
    let entered = false;
    void batcher.syncAddItem('b1').then(() => (entered = true));
    await microtasks();
    expect(entered).toBe(false);
    leaves.abort(new BatchError('left'));
    await microtasks();
    expect(entered).toBe(true);
    closing.openAll();
    await batcher.close();
  });
});

test('syncAddItem resolved while the add hook of its item ran, since the call had started the batch before', async () => {
  const answers = gate<[], void>();
  let asks = false;
  const { batcher, began, sink } = gated({
    flushConcurrency: 2,
    shouldFlush: () => asks,
    batchAddItem: async ({ items }, item) => {
      if (item.n > 1) await answers();
      return { items: [...items, item] };
    },
  });
  batcher.addItem(note('a1'));
  await microtasks();
  asks = true;
  let resolved = false;
  const added = batcher.syncAddItem(note('a2')).then(() => (resolved = true));
  await microtasks();
  expect([began(), resolved]).toEqual([['a:1 shouldFlush'], false]);
  answers.openAll();
  sink.openAll();
  await added;
  await batcher.close();
});

test('syncAddItem resolved although the hook had refused its item, since the call had started the batch before', async () => {
  let asks = false;
  const { batcher, began, sink } = gated({
    flushConcurrency: 2,
    shouldFlush: () => asks,
    batchAddItem: ({ items }, item) => {
      if (item.n > 1) throw new Error('not this one');
      items.push(item);
    },
  });
  batcher.on('refused', () => {});
  batcher.addItem(note('a1'));
  asks = true;
  const { signal } = new AbortController();
  await expect(batcher.syncAddItem(note('a2'), { signal })).rejects.toThrow();
  expect(began()).toEqual(['a:1 shouldFlush']);
  sink.openAll();
  await batcher.close();
});

test('maxPending over all keys was exceeded by a hook that adds, of a collector that ignores the options', async () => {
  const pending: number[] = [];
  const batcher: KeyedBatcher<string, string> = new KeyedBatcher<string, string>({
    key: (item) => item.slice(0, 1),
    maxPending: 1,
    overflow: 'reject',
    batcher: () =>
      new MemoryBatcher<string>({
        batchAddItem: ({ items }, item) => {
          items.push(item);
          if (item === 'a1') batcher.addItem('b1');
        },
        batchFlush: () => {},
      }),
  });
  batcher.on('refused', ({ item }) => pending.push(Number(item.slice(1))));
  batcher.addItem('a1');
  expect([batcher.state.pending, pending]).toEqual([1, [1]]);
  await batcher.close();
});
