import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileBatch, FileBatcher, KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import { expectBalanced } from '../../support/collectors.js';
import { type Note, bench, notes } from './support.js';

const SIX = 'a1 b1 c1 a2 b2 c2';
const ALL = ['a:1,2 size', 'b:1,2 size', 'c:1,2 size'];

/** Asynchronous hooks answer within a few microtasks here; no timer is due. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

// One lane: the collectors of two keys are paused, and no call, event or timer of the batcher follows.
describe('a batch that becomes due while another key has the lane', () => {
  test('three keys with an asynchronous batchInit: the batches of two of them were never delivered', async () => {
    const { batcher, flushed } = bench({ maxBatchSize: 2, batchInit: () => Promise.resolve({ items: [] }) });
    batcher.addItems(notes(SIX));
    await microtasks();
    expect(flushed.sort()).toEqual(ALL);
    expectBalanced(batcher);
  });

  test('likewise with an asynchronous batchAddItem', async () => {
    const { batcher, flushed } = bench({
      maxBatchSize: 2,
      batchAddItem: ({ items }, item) => Promise.resolve().then(() => void items.push(item)),
    });
    batcher.addItems(notes(SIX));
    await microtasks();
    expect(flushed.sort()).toEqual(ALL);
  });

  test('close() delivers them, and does not give them up after its timeout', async () => {
    const batchInit = (): Promise<{ items: Note[] }> =>
      new Promise((resolve) => {
        setImmediate(resolve, { items: [] });
      });
    const { batcher, flushed } = bench({ batchInit });
    batcher.addItems(notes(SIX));
    await batcher.close();
    expect(flushed.sort()).toEqual(['a:1,2 close', 'b:1,2 close', 'c:1,2 close']);
  });

  test('collectors that ignore the options, with triggers, retries and clocks of their own', async () => {
    const clock = new TestClock();
    const seen: string[] = [];
    const failed = new Set<string>();
    const batcher = new KeyedBatcher<string, string>({
      key: (item) => item.slice(0, 1),
      batcher: (key) =>
        new MemoryBatcher<string>({
          clock,
          maxTimeSinceFirstItem: 50,
          retry: { minDelay: 10, jitter: false },
          batchFlush: ({ items }) => {
            if (!failed.has(key)) {
              failed.add(key);
              throw new Error('once');
            }
            seen.push(items.join());
          },
        }),
    });
    batcher.on('failed', () => {});
    batcher.addItems(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
    await clock.advance(50);
    await clock.advance(10);
    expect(seen.sort()).toEqual(['a1,a2', 'b1,b2', 'c1,c2']);
    expectBalanced(batcher);
  });

  test('a FileBatcher per key, whose adds are asynchronous', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'keyed-'));
    const seen: string[] = [];
    const batcher = new KeyedBatcher({
      key: (item: string) => item.slice(0, 1),
      maxBatchSize: 2,
      async batchFlush(batch: FileBatch<string>) {
        for await (const item of batch.items()) seen.push(item);
      },
      batcher: (key, options) =>
        new FileBatcher({ ...options, batchDirectory: join(directory, key), durability: 'none' }),
    });
    const drained = new Promise((resolve) => batcher.on('drained', resolve));
    batcher.addItems(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
    await drained;
    expect(seen.sort()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
    await batcher.close();
    rmSync(directory, { recursive: true });
  });
});

test('A2: 400 callers of three keys that wait for room for 10, behind one lane: all but 14 waited for ever', async () => {
  const clock = new TestClock();
  const sizes: number[] = [];
  const batcher = new KeyedBatcher<number, number>({
    clock,
    key: (item) => item % 3,
    maxBatchSize: 100,
    maxPending: 10,
    async batchFlush({ items }) {
      await Promise.resolve();
      sizes.push(items.length);
    },
  });
  const entered = Promise.all(Array.from({ length: 400 }, (_, item) => batcher.syncAddItem(item)));
  await entered;
  await batcher.close();
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(400);
  expectBalanced(batcher);
});
