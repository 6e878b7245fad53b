import { OptionsError } from 'batch-please';
import { KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { expectBalanced } from '../../support/collectors.js';
import { bench, notes } from './support.js';

describe('options of a keyed batcher', () => {
  test('the methods and getters of a class, which are not enumerable, were left out', () => {
    const flushed: string[] = [];
    class Config {
      get maxBatchSize(): number {
        return 2;
      }
      key(item: string): string {
        return item.slice(0, 1);
      }
      batchFlush({ items }: { items: string[] }): void {
        flushed.push(items.join());
      }
    }
    const batcher = new KeyedBatcher<string, string>(new Config());
    batcher.addItems(['a1', 'b1', 'a2']);
    expect(flushed).toEqual(['a1,a2']);
  });

  test('configure reads them through a prototype as well: they had been ignored without a word', () => {
    const { batcher } = bench();
    batcher.configure(Object.create({ maxBatchSize: 3, maxKeys: 4 }) as object);
    expect(batcher.state.config).toMatchObject({ maxBatchSize: 3, maxKeys: 4 });
  });

  test.each([undefined, null, 5, 'x', [], () => {}])('configure(%p) throws OptionsError', (changes) => {
    const { batcher } = bench();
    expect(() => batcher.configure(changes as object)).toThrow(OptionsError);
  });

  test('clear() with a misspelt key took back the batches of all keys', () => {
    const { batcher } = bench();
    batcher.addItems(notes('a1 b1'));
    expect(() => batcher.clear({ kye: 'a' } as object)).toThrow(OptionsError);
    expect(batcher.state.pending).toBe(2);
  });
});

test('A1: a factory that adds an item of the key it makes a collector for: that item was lost', async () => {
  const delivered: number[] = [];
  let made = 0;
  const batcher: KeyedBatcher<number, string> = new KeyedBatcher<number, string>({
    key: () => 'a',
    batcher: (_, options) => {
      if (made++ === 0) batcher.addItem(2);
      return new MemoryBatcher<number>(options);
    },
    batchFlush: ({ items }) => {
      delivered.push(...items);
    },
  });
  batcher.addItem(1);
  await batcher.close();
  expect(delivered.sort()).toEqual([1, 2]);
  expectBalanced(batcher);
});

test('a signal without throwIfAborted, as older platforms have it, kept the item out', async () => {
  const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined });
  const delivered: number[] = [];
  const batcher = new KeyedBatcher<number, string>({
    key: () => 'one',
    maxBatchSize: 1,
    batchFlush: ({ items }) => void delivered.push(...items),
  });
  await batcher.deliverItem(1, { signal: signal as AbortSignal });
  expect(delivered).toEqual([1]);
  await batcher.close();
});
