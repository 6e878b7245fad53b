import { KeyedBatcher } from '../../../collectors/index.js';
import { TestClock } from '../../../src/testing.js';

interface Counted {
  state: {
    pending: number;
    counts: Record<'totalItems' | 'delivered' | 'refused' | 'dropped' | 'returned', number>;
  };
}

/** A1: 0 if every accepted item is counted once. */
function missing({ state: { counts, pending } }: Counted): number {
  return counts.totalItems - counts.delivered - counts.refused - counts.dropped - counts.returned - pending;
}

describe('hooks and listeners that call a keyed batcher back', () => {
  test('with room for one key, an item that weigh adds does not close the key whose item it weighs', async () => {
    const delivered: string[] = [];
    const refused: string[] = [];
    const seen: number[] = [];
    const batcher: KeyedBatcher<string, string> = new KeyedBatcher<string, string>({
      key: (item) => item.charAt(0),
      maxKeys: 1,
      maxBatchWeight: 10,
      weigh: (item) => {
        seen.push(missing(batcher));
        if (item === 'a1') batcher.addItem('b1');
        return 1;
      },
      batchFlush: ({ items }) => {
        delivered.push(...items);
      },
    });
    batcher.on('refused', ({ item }) => {
      seen.push(missing(batcher));
      refused.push(item);
    });
    await Promise.all([batcher.deliverItem('a1'), batcher.flush()]);
    await batcher.close();
    expect({ delivered, refused, seen }).toEqual({ delivered: ['a1'], refused: ['b1'], seen: [0, 0] });
    expect(missing(batcher)).toBe(0);
  });

  test('an item of its own key that weigh adds joins as well', async () => {
    const delivered: string[] = [];
    const batcher: KeyedBatcher<string, string> = new KeyedBatcher<string, string>({
      key: (item) => item.charAt(0),
      maxKeys: 1,
      maxBatchWeight: 10,
      weigh: (item) => {
        if (item === 'a1') batcher.addItems(['a2', 'b1']);
        return 1;
      },
      batchFlush: ({ items }) => {
        delivered.push(...items);
      },
    });
    batcher.on('refused', () => undefined);
    batcher.addItem('a1');
    await batcher.close();
    expect(delivered.sort()).toEqual(['a1', 'a2']);
  });

  test('batchDeadLetter sees what it takes over counted once', async () => {
    const clock = new TestClock();
    const seen: number[] = [];
    let drained = 0;
    const batcher: KeyedBatcher<number, number> = new KeyedBatcher<number, number>({
      clock,
      key: (item) => item,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => Promise.reject(new Error('down')),
      batchDeadLetter: () => {
        seen.push(missing(batcher));
      },
    });
    batcher.on('dropped', () => undefined);
    batcher.on('drained', () => drained++);
    batcher.addItems([1, 2]);
    void batcher.flush();
    await clock.advance(10);
    expect({ seen, drained, pending: batcher.state.pending }).toEqual({ seen: [0, 0], drained: 1, pending: 0 });
    await batcher.close();
  });

  test.each(['clear', 'resume', 'configure'] as const)(
    'a caller that close() turns away is not let in by a listener that calls %s()',
    async (verb) => {
      const clock = new TestClock();
      const reached: number[] = [];
      const batcher = new KeyedBatcher<number, number>({
        clock,
        key: (item) => item % 2,
        maxPending: 1,
        batchFlush: ({ items }) => {
          reached.push(...items);
        },
      });
      batcher.on('refused', () => {
        if (verb === 'configure') batcher.configure({ maxPending: 100 });
        else if (verb === 'resume') batcher.resume();
        else reached.push(...batcher.clear().flatMap(({ items }) => items));
      });
      batcher.pause();
      batcher.addItem(0);
      const waiting = Promise.allSettled([1, 2, 3].map((item) => batcher.deliverItem(item)));
      await batcher.close();
      expect((await waiting).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect({ reached, missing: missing(batcher) }).toEqual({ reached: [0], missing: 0 });
    },
  );
});
