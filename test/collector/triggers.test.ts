import { MemoryBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';
import { bench, expectBalanced, flushedBy, settled, sink, warnings } from '../support/collectors.js';

const DAY = 24 * 60 * 60 * 1000;

afterEach(() => jest.restoreAllMocks());

describe('maxBatchSize', () => {
  test('7 = 3+3 (size), 1 stays: a full batch is flushed at once', () => {
    const { batcher, sizes, batches } = bench({ maxBatchSize: 3 });
    batcher.addItems([1, 2, 3, 4, 5, 6, 7]);
    expect(sizes).toEqual(['3 (size)', '3 (size)']);
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(batcher.state.pending).toBe(1);
    expectBalanced(batcher);
  });

  test('3 = 1+1+1 (size): a size of 1 delivers item by item', () => {
    const { batcher, sizes } = bench({ maxBatchSize: 1 });
    batcher.addItems([1, 2, 3]);
    expect(sizes).toEqual(['1 (size)', '1 (size)', '1 (size)']);
  });

  test('accepting never waits for the sink: 6 = 2+2+2 (size) queue behind a busy one, in order', async () => {
    const flush = sink();
    const batcher = new MemoryBatcher<number>({ maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2, 3, 4, 5, 6]);
    expect(flushedBy(flush)).toEqual([[1, 2]]);
    expect(batcher.state.pending).toBe(6);
    flush.openAll();
    await batcher.flush();
    expect(flushedBy(flush)).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(flush.calls.map(([, { reason }]) => reason)).toEqual(['size', 'size', 'size']);
  });
});

describe('maxBatchWeight', () => {
  const weigh = (item: number): number => item;

  test('4+4, then 4: an item that does not fit closes the batch first (8 of 10, weight)', () => {
    const { batcher, batches, sizes } = bench({ maxBatchWeight: 10, weigh });
    batcher.addItems([4, 4, 4]);
    expect(batches).toEqual([[4, 4]]);
    expect(sizes).toEqual(['2 (weight)']);
    expect(batcher.state.counts.batchItems).toBe(1);
  });

  test('6+4 = 10: a batch that is exactly full is flushed at once', () => {
    const { batcher, batches } = bench({ maxBatchWeight: 10, weigh });
    batcher.addItems([6, 4]);
    expect(batches).toEqual([[6, 4]]);
  });

  test('3, 15, 2: a single heavier item goes alone, at once', () => {
    const { batcher, batches } = bench({ maxBatchWeight: 10, weigh });
    batcher.addItems([3, 15, 2]);
    expect(batches).toEqual([[3], [15]]);
    expect(batcher.state.counts.batchItems).toBe(1);
  });

  test('context and events carry the sum of the weights', () => {
    const weights: number[] = [];
    const { batcher } = bench({
      maxBatchWeight: 10,
      weigh,
      batchFlush: (_batch, { weight }) => void weights.push(weight),
    });
    batcher.on('flushed', ({ weight }) => weights.push(weight));
    batcher.addItems([3, 7]);
    expect(weights).toEqual([10, 10]);
  });

  test('items without weight are bounded by size alone', () => {
    const { batcher, sizes } = bench({ maxBatchWeight: 1, weigh: () => 0, maxBatchSize: 3 });
    batcher.addItems([1, 2, 3]);
    expect(sizes).toEqual(['3 (size)']);
  });
});

describe('maxTimeSinceFirstItem', () => {
  test('A6: 1 (age): flushed without a further add, measured from the acceptance of the first item', async () => {
    const { clock, batcher, sizes, times } = bench({ maxTimeSinceFirstItem: 100 });
    await clock.advance(40);
    batcher.addItem(1);
    await clock.advance(99);
    expect(sizes).toEqual([]);
    await clock.advance(1);
    expect(sizes).toEqual(['1 (age)']);
    expect(times).toEqual([140]);
  });

  test('A6: 12 = 4+4+4 (age): a steady stream does not put it off', async () => {
    const { clock, batcher, sizes, times } = bench({ maxTimeSinceFirstItem: 100 });
    for (let item = 0; item < 12; item++) {
      batcher.addItem(item);
      await clock.advance(30);
    }
    expect(sizes).toEqual(['4 (age)', '4 (age)', '4 (age)']);
    expect(times).toEqual([100, 220, 340]);
  });

  test('5 = 2 (size) + 2 (size) + 1 (age)', async () => {
    const { clock, batcher, sizes } = bench({ maxBatchSize: 2, maxTimeSinceFirstItem: 100 });
    batcher.addItems([1, 2, 3, 4, 5]);
    await clock.advance(100);
    expect(sizes).toEqual(['2 (size)', '2 (size)', '1 (age)']);
  });

  test('A6: the age counts from acceptance, however slow the add hook is', async () => {
    const add = gate<unknown[], undefined>();
    const { clock, batcher, times } = bench({ maxTimeSinceFirstItem: 100, batchAddItem: add });
    batcher.addItem(1);
    await clock.advance(60);
    add.open();
    await clock.advance(60);
    expect(times).toEqual([100]);
  });

  test('A6: also of an item that waits behind a slow add hook and opens the next batch', async () => {
    const add = gate<unknown[], undefined>();
    const { clock, batcher, sizes, times } = bench({ maxBatchSize: 2, maxTimeSinceFirstItem: 100, batchAddItem: add });
    batcher.addItems([1, 2, 3]);
    await clock.advance(80);
    add.openAll();
    await clock.advance(30);
    expect(sizes).toEqual(['2 (size)', '1 (age)']);
    expect(times).toEqual([80, 100]);
  });

  test('a batch that is old while the sink is busy goes on growing: 4 = 1 (age) + 3 (age)', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxTimeSinceFirstItem: 100, batchFlush: flush });
    batcher.addItem(1);
    await clock.advance(100);
    batcher.addItem(2);
    await clock.advance(150);
    batcher.addItems([3, 4]);
    flush.openAll();
    await settled();
    expect(flushedBy(flush)).toEqual([[1], [2, 3, 4]]);
    expect(flush.calls[1]?.[1].reason).toBe('age');
  });

  test('A6: weeks: nothing after 59 days, flushed after 60, by timers that setTimeout can hold', async () => {
    const clock = new TestClock();
    const asked: number[] = [];
    const setTimer = clock.setTimer.bind(clock);
    clock.setTimer = (fn, ms) => {
      asked.push(ms);
      return setTimer(fn, ms);
    };
    const sizes: number[] = [];
    const batcher = new MemoryBatcher<number>({
      clock,
      maxTimeSinceFirstItem: 60 * DAY,
      batchFlush: ({ items }) => void sizes.push(items.length),
    });
    batcher.addItem(1);
    await clock.advance(59 * DAY);
    expect(sizes).toEqual([]);
    await clock.advance(DAY);
    expect(sizes).toEqual([1]);
    expect(Math.max(...asked)).toBeLessThan(2 ** 31);
    expect(asked.length).toBeLessThan(10);
  });
});

describe('maxTimeSinceLastFlush', () => {
  test('at first since the first item, then since the last flush: 3 = 1+1+1 (sinceFlush)', async () => {
    const { clock, batcher, sizes, times } = bench({ maxTimeSinceLastFlush: 100 });
    await clock.advance(30);
    batcher.addItem(1); // due at 130
    await clock.advance(150); // 180
    batcher.addItem(2); // due at 230
    await clock.advance(320); // 500
    batcher.addItem(3); // overdue
    await clock.advance(0);
    expect(sizes).toEqual(['1 (sinceFlush)', '1 (sinceFlush)', '1 (sinceFlush)']);
    expect(times).toEqual([130, 230, 500]);
  });

  test('a flush for another reason moves it: full at 50, then due at 150', async () => {
    const { clock, batcher, sizes, times } = bench({ maxTimeSinceLastFlush: 100, maxBatchSize: 2 });
    await clock.advance(50);
    batcher.addItems([1, 2, 3]);
    await clock.advance(200);
    expect(sizes).toEqual(['2 (size)', '1 (sinceFlush)']);
    expect(times).toEqual([50, 150]);
  });

  test('a delivery puts off what had become due behind it: due at 110, delivered at 150, flushed at 250', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxTimeSinceLastFlush: 100, maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2]);
    await clock.advance(10);
    batcher.addItem(3);
    await clock.advance(140);
    flush.open();
    await clock.advance(99);
    expect(flushedBy(flush)).toEqual([[1, 2]]);
    await clock.advance(1);
    expect(flushedBy(flush)).toEqual([[1, 2], [3]]);
    flush.openAll();
    await batcher.close();
  });

  test('A6: with nothing to flush it holds no timer and flushes nothing', async () => {
    const { clock, batcher, sizes } = bench({ maxTimeSinceLastFlush: 100 });
    batcher.addItem(1);
    await clock.advance(1000);
    expect(sizes).toEqual(['1 (sinceFlush)']);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('shouldFlush', () => {
  test('3 = 2 (shouldFlush) + 1: asked after an add, with the item in the state', () => {
    const { batcher, batches, sizes } = bench({ shouldFlush: ({ lastItem }) => lastItem === 2 });
    batcher.addItem(1);
    batcher.addItem(2);
    expect(batches).toEqual([[1, 2]]);
    expect(sizes).toEqual(['2 (shouldFlush)']);
  });

  test('2 (shouldFlush) + 1: asked before an add, when what came before is flushed without the item', () => {
    let urgent = false;
    const { batcher, batches } = bench({
      shouldFlush: ({ counts }) => {
        const answer = urgent && counts.batchItems > 0;
        urgent = false;
        return answer;
      },
    });
    batcher.addItems([1, 2]);
    urgent = true;
    batcher.addItem(3);
    expect(batches).toEqual([[1, 2]]);
    expect(batcher.state.counts.batchItems).toBe(1);
  });

  test('is asked twice for every add, the first of a batch included', () => {
    let asked = 0;
    const { batcher } = bench({
      shouldFlush: () => {
        asked++;
        return false;
      },
    });
    batcher.addItem(1);
    expect(asked).toBe(2);
    batcher.addItem(2);
    expect(asked).toBe(4);
  });

  test('sees the live state: counts, times, config, batch', () => {
    const seen: unknown[] = [];
    const { batcher } = bench({
      maxBatchSize: 9,
      shouldFlush: (state) => {
        seen.push(state);
        return false;
      },
    });
    batcher.addItem(1);
    expect(new Set(seen)).toEqual(new Set([batcher.state]));
    expect(batcher.state).toMatchObject({ counts: { batchItems: 1 }, config: { maxBatchSize: 9 }, lastItem: 1 });
  });

  test('that throws counts as false, and is reported', () => {
    const seen = warnings();
    const { batcher, sizes } = bench({
      shouldFlush: () => {
        throw new Error('cannot say');
      },
    });
    batcher.addItems([1, 2, 3]);
    expect(sizes).toEqual([]);
    expect(batcher.state.pending).toBe(3);
    expect(seen).toEqual([expect.stringMatching(/shouldFlush.*cannot say/)]);
  });
});

describe('demand', () => {
  test('2 (demand): flush() delivers what is there', async () => {
    const { batcher, sizes } = bench();
    batcher.addItems([1, 2]);
    await batcher.flush();
    expect(sizes).toEqual(['2 (demand)']);
  });

  test('without any trigger only flush() and close() flush, whatever the time and the number', async () => {
    const { clock, batcher, sizes } = bench();
    batcher.addItems(Array.from({ length: 10_000 }, (_, i) => i));
    await clock.advance(1000 * DAY);
    expect(sizes).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    await batcher.flush();
    batcher.addItem(1);
    await batcher.close();
    expect(sizes).toEqual(['10000 (demand)', '1 (close)']);
    expectBalanced(batcher);
  });
});

describe('triggers together', () => {
  test('null, like undefined, disables a trigger', async () => {
    const { clock, batcher, sizes } = bench({
      maxBatchSize: null,
      maxBatchWeight: null,
      weigh: null,
      maxTimeSinceFirstItem: null,
      maxTimeSinceLastFlush: undefined,
      flushInterval: null,
      flushTimeout: null,
      shouldFlush: null,
    });
    batcher.addItems([1, 2, 3]);
    await clock.advance(DAY);
    expect(sizes).toEqual([]);
  });

  test.each([
    ['age', { maxTimeSinceFirstItem: 50, maxTimeSinceLastFlush: 60, flushInterval: 70 }, 50],
    ['sinceFlush', { maxTimeSinceFirstItem: 60, maxTimeSinceLastFlush: 50, flushInterval: 70 }, 50],
    ['interval', { maxTimeSinceFirstItem: 60, maxTimeSinceLastFlush: 70, flushInterval: 50 }, 50],
  ] as const)('the earliest wins: 1 (%s)', async (reason, options, at) => {
    const { clock, batcher, sizes, times } = bench(options);
    batcher.addItem(1);
    await clock.advance(49);
    expect(sizes).toEqual([]);
    await clock.advance(1);
    expect(sizes).toEqual([`1 (${reason})`]);
    expect(times).toEqual([at]);
  });

  test('an empty batch is never flushed: not by time, not by flush(), not by close()', async () => {
    const { clock, batcher, sizes } = bench({
      maxTimeSinceFirstItem: 10,
      maxTimeSinceLastFlush: 10,
      flushInterval: 10,
      shouldFlush: () => true,
    });
    await clock.advance(1000);
    await batcher.flush();
    await batcher.flush();
    await batcher.close();
    expect(sizes).toEqual([]);
    expect(batcher.state.counts.flushes).toBe(0);
  });
});
