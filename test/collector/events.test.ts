import { inspect } from 'node:util';
import { BatchPlease, type BatchPleaseEvents } from 'batch-please';
import { KeyedBatcher, MemoryBatcher } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import { bench, expectBalanced, settled, sink, warnings, type NumberOptions } from '../support/collectors.js';
import { earlyClock } from '../support/early-clock.js';

afterEach(() => jest.restoreAllMocks());

const EVENTS = ['flushed', 'failed', 'held', 'dropped', 'refused', 'drained', 'closed'] as const;

/** Every event of a batcher, in order: its name and what it says. */
function listen(batcher: MemoryBatcher<number>): [string, unknown][] {
  const seen: [string, unknown][] = [];
  for (const event of EVENTS) batcher.on(event, (payload: unknown) => seen.push([event, payload]));
  return seen;
}

describe('events', () => {
  test('flushed says id, reason, size, weight, attempt and duration', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 2, weigh: (item) => item, batchFlush: flush });
    const seen = listen(batcher);
    batcher.addItems([3, 4]);
    await clock.advance(25);
    flush.open();
    await settled();
    expect(seen).toEqual([
      ['flushed', { id: flush.calls[0]?.[1].id, reason: 'size', size: 2, weight: 7, attempt: 1, duration: 25 }],
      ['drained', undefined],
    ]);
  });

  test('failed says the same, the error and when it is tried again by the clock of the batcher', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: { jitter: false }, batchFlush: flush });
    const seen = listen(batcher);
    batcher.addItem(1);
    await clock.advance(10);
    flush.fail('down');
    await clock.advance(100);
    flush.open();
    await settled();
    const { id } = flush.calls[0]?.[1] ?? {};
    expect(seen).toMatchObject([
      ['failed', { id, reason: 'size', size: 1, weight: 0, attempt: 1, duration: 10, error: 'down', retryAt: 110 }],
      ['flushed', { id, attempt: 2, duration: 0 }],
      ['drained', undefined],
    ]);
  });

  test('after the last attempt it is held, not failed', async () => {
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      retry: { attempts: 2 },
      batchFlush: () => Promise.reject(new Error('no')),
    });
    const seen = listen(batcher);
    batcher.addItem(1);
    await clock.advance(1000);
    expect(seen).toMatchObject([
      ['failed', { attempt: 1 }],
      ['held', { attempt: 2, size: 1, reason: 'size', error: new Error('no') }],
    ]);
  });

  test('are per batch, never per item, except refused', () => {
    const { batcher } = bench({
      maxBatchSize: 1000,
      batchAddItem: (batch, item) => {
        if (item < 0) throw new Error('negative');
        batch.items.push(item);
      },
    });
    const seen = listen(batcher);
    batcher.addItems(Array.from({ length: 1000 }, (_, i) => i));
    expect(seen.map(([name]) => name)).toEqual(['flushed', 'drained']);
    batcher.addItems([-1, -2]);
    expect(seen.slice(2).filter(([name]) => name === 'refused')).toHaveLength(2);
  });

  test('drained is emitted when nothing is pending any more, once', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    const drained = jest.fn();
    batcher.on('drained', drained);
    batcher.addItems([1, 2]);
    flush.open();
    await settled();
    expect(drained).not.toHaveBeenCalled();
    flush.open();
    await settled();
    expect(drained).toHaveBeenCalledTimes(1);
    await batcher.flush();
    await batcher.close();
    expect(drained).toHaveBeenCalledTimes(1);
  });

  test('closed is emitted at the end of close, once', async () => {
    const { batcher } = bench();
    const seen = listen(batcher);
    batcher.addItem(1);
    await Promise.all([batcher.close(), batcher.close()]);
    expect(seen.map(([name]) => name)).toEqual(['flushed', 'drained', 'closed']);
  });

  test('on returns a function that removes the listener, and only that; off removes it, too', () => {
    const { batcher } = bench({ maxBatchSize: 1 });
    const [first, second, third] = [jest.fn(), jest.fn(), jest.fn()];
    const remove = batcher.on('flushed', first);
    batcher.on('flushed', second);
    batcher.on('flushed', third);
    batcher.addItem(1);
    remove();
    batcher.off('flushed', second);
    batcher.addItem(2);
    expect([first, second, third].map(({ mock }) => mock.calls.length)).toEqual([1, 1, 2]);
  });

  test('calling it twice leaves another registration of the same listener alone', () => {
    const { batcher } = bench({ maxBatchSize: 1 });
    const listener = jest.fn();
    const remove = batcher.on('flushed', listener);
    batcher.on('flushed', listener);
    remove();
    remove();
    batcher.addItem(1);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test('a listener that throws or rejects harms nothing: the other listeners, the batch, the next batch', async () => {
    const seen = warnings();
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      retry: { attempts: 2, jitter: false },
      giveUp: 'drop',
      batchAddItem: (batch, item) => {
        if (item < 0) throw new Error('negative');
        batch.items.push(item);
      },
      batchFlush: ({ items }) => {
        if (items[0] === 2) throw new Error('two');
      },
    });
    const after = listen(batcher);
    for (const event of EVENTS) {
      batcher.on(event, () => {
        throw new Error('listener');
      });
      batcher.on(event, () => Promise.reject(new Error('listener')));
    }
    const heard = listen(batcher);
    batcher.addItems([1, 2, -3, 4]);
    await clock.advance(1000);
    await batcher.close();
    expect(heard).toEqual(after);
    expect(new Set(heard.map(([name]) => name))).toEqual(
      new Set(['flushed', 'failed', 'dropped', 'refused', 'drained', 'closed']),
    );
    expect(batcher.state.counts).toMatchObject({ delivered: 2, dropped: 1, refused: 1 });
    expectBalanced(batcher);
    expect(seen.length).toBeGreaterThan(0);
  });
});

test.each([
  ['a collector', () => bench().batcher],
  ['a KeyedBatcher', () => new KeyedBatcher<number, number>({ key: (item) => item, batchFlush: () => {} })],
])('%s: a listener that is no function throws at on(), not at the event', (_what, make) => {
  const batcher = make();
  expect(() => batcher.on('flushed', 5 as never)).toThrow(
    expect.objectContaining({ name: 'OptionsError', option: 'flushed', given: 5 }) as Error,
  );
});

describe('a failure without a listener is reported by a process warning, once per kind', () => {
  const throwing: NumberOptions = {
    batchFlush: () => {
      throw new Error('down');
    },
  };
  test.each<[string, RegExp, NumberOptions]>([
    ['failed', /batchFlush failed: down/, { ...throwing, maxBatchSize: 1, retry: { minDelay: 1, factor: 1 } }],
    ['held', /held.*down/, { ...throwing, maxBatchSize: 1, retry: false }],
    ['dropped', /dropped.*down/, { ...throwing, maxBatchSize: 1, retry: false, giveUp: 'drop' }],
    [
      'refused',
      /refused.*no such item/,
      {
        batchAddItem: () => {
          throw new Error('no such item');
        },
      },
    ],
  ])('%s', async (event, message, options) => {
    const seen = warnings();
    const quiet = bench(options);
    for (let item = 0; item < 5; item++) {
      quiet.batcher.addItem(item);
      await quiet.clock.advance(20);
    }
    expect(seen).toEqual([expect.stringMatching(message)]);
    const heard = bench(options);
    heard.batcher.on(event as keyof BatchPleaseEvents<number>, () => {});
    heard.batcher.addItem(1);
    await heard.clock.advance(100);
    expect(seen).toHaveLength(1);
  });

  test('refused: an onError counts as a listener', () => {
    const seen = warnings();
    const { batcher } = bench({
      batchAddItem: () => Promise.reject(new Error('no')),
      maxPending: 1,
      overflow: 'reject',
    });
    batcher.addItem(1, { onError: () => {} });
    batcher.addItem(2, { onError: () => {} });
    expect(seen).toEqual([]);
  });

  test('a postFlush that fails', async () => {
    const seen = warnings();
    const { batcher, clock } = bench({
      maxBatchSize: 1,
      retry: { minDelay: 1, attempts: 3 },
      batchPostFlush: () => Promise.reject(new Error('after')),
    });
    batcher.addItem(1);
    await clock.advance(1000);
    expect(seen).toEqual([expect.stringMatching(/batchPostFlush.*after/)]);
  });

  test('an undelivered close', async () => {
    const seen = warnings();
    const { batcher } = bench({ retry: false, batchFlush: () => Promise.reject(new Error('no')) });
    batcher.on('held', () => {});
    batcher.addItem(1);
    void batcher.close();
    await settled();
    expect(seen).toEqual([expect.stringMatching(/closed with.*1/)]);
  });
});

describe('state', () => {
  test('is live: counts, times, batch, lastItem, pending follow what happens', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 3, batchFlush: flush });
    const { state } = batcher;
    expect(state).toMatchObject({
      batch: undefined,
      lastItem: undefined,
      pending: 0,
      counts: { batchItems: 0, totalItems: 0, flushes: 0, delivered: 0, refused: 0, dropped: 0 },
      times: { firstItemOfBatch: undefined, lastFlush: undefined },
    });
    await clock.advance(5);
    batcher.addItem(1);
    await clock.advance(5);
    batcher.addItem(2);
    expect(batcher.state).toBe(state);
    expect(state).toMatchObject({
      batch: { items: [1, 2] },
      lastItem: 2,
      pending: 2,
      counts: { batchItems: 2, totalItems: 2 },
      times: { firstItemOfBatch: 5, lastFlush: undefined },
    });
    batcher.addItem(3);
    expect(state).toMatchObject({
      batch: undefined,
      lastItem: 3,
      pending: 3,
      counts: { batchItems: 0, totalItems: 3, flushes: 0 },
      times: { firstItemOfBatch: undefined },
    });
    await clock.advance(5);
    flush.open();
    await settled();
    expect(state).toMatchObject({
      lastItem: 3,
      pending: 0,
      counts: { flushes: 1, delivered: 3, totalItems: 3 },
      times: { lastFlush: 15 },
    });
    expectBalanced(batcher);
  });

  test('a failed flush is no flush: neither counts.flushes nor times.lastFlush moves', async () => {
    const { batcher } = bench({ maxBatchSize: 1, retry: false, batchFlush: () => Promise.reject(new Error('no')) });
    batcher.on('held', () => {});
    batcher.addItem(1);
    await settled();
    expect(batcher.state).toMatchObject({ counts: { flushes: 0 }, times: { lastFlush: undefined } });
  });

  test('config holds the options in force, defaults filled in', () => {
    expect(bench().batcher.state.config).toEqual({
      maxBatchSize: Infinity,
      maxBatchWeight: Infinity,
      maxTimeSinceFirstItem: Infinity,
      maxTimeSinceLastItem: Infinity,
      maxTimeSinceLastFlush: Infinity,
      flushInterval: Infinity,
      flushJitter: 0,
      flushConcurrency: 1,
      flushTimeout: Infinity,
      retry: {
        attempts: Infinity,
        minDelay: 100,
        maxDelay: 30_000,
        factor: 2,
        jitter: true,
        maxElapsed: Infinity,
        delay: undefined,
      },
      giveUp: 'hold',
      highWaterMark: Infinity,
      maxPending: Infinity,
      overflow: 'wait',
      unref: false,
    });
    expect(bench({ maxBatchSize: 5, giveUp: 'drop' }).batcher.state.config).toMatchObject({
      maxBatchSize: 5,
      giveUp: 'drop',
    });
  });

  test('state prints, spreads and serialises as the values of the moment, each of its own collector', () => {
    const [one, other] = [bench().batcher, bench().batcher];
    one.addItem(1);
    other.addItems([1, 2]);
    for (const [{ state }, pending] of [
      [one, 1],
      [other, 2],
    ] as const) {
      expect({ ...state }).toMatchObject({ pending, lastItem: pending });
      expect(JSON.parse(JSON.stringify(state))).toMatchObject({ pending, counts: { batchItems: pending } });
      expect(Object.keys(state)).toContain('pending');
      expect(inspect(state)).toMatch(new RegExp(`pending: ${pending},`));
      expect(inspect(state)).toMatch(new RegExp(`batchItems: ${pending},`));
      expect(inspect(state)).not.toMatch(/Getter|source/);
    }
  });

  test.each(['batch', 'lastItem', 'pending'])('%s cannot be written', (field) => {
    const { batcher } = bench();
    expect(Reflect.set(batcher.state, field, 'mine')).toBe(false);
  });

  test.each(['config', 'counts', 'times'])('%s cannot be replaced', (field) => {
    const { batcher } = bench();
    expect(Reflect.set(batcher.state, field, 'mine')).toBe(false);
  });

  test.each(['counts', 'times', 'config'] as const)('nor can what is in %s', (part) => {
    const { batcher } = bench();
    for (const key of Object.keys(batcher.state[part])) expect(Reflect.set(batcher.state[part], key, 7)).toBe(false);
  });

  test('A1: accepted = delivered + refused + dropped + pending in every event and hook', async () => {
    const { clock, batcher } = bench({
      maxBatchSize: 2,
      maxPending: 7,
      overflow: 'dropOldest',
      retry: { attempts: 2, minDelay: 1, jitter: false },
      giveUp: 'drop',
      batchPreFlush: () => check(),
      batchPostFlush: () => check(),
      batchDeadLetter: () => check(),
      batchTerminate: () => check(),
      shouldFlush: () => {
        check();
        return false;
      },
      batchAddItem: async (batch, item) => {
        check();
        if (item % 5 === 0) throw new Error('five');
        batch.items.push(item);
        check();
      },
      batchFlush: async ({ items }) => {
        check();
        if (items.some((item) => item % 7 === 0)) throw new Error('seven');
        check();
      },
    });
    let checks = 0;
    function check(): void {
      checks++;
      expectBalanced(batcher);
    }
    for (const event of EVENTS) batcher.on(event, check);
    for (let item = 1; item <= 100; item++) {
      batcher.addItem(item, { onError: check });
      check();
      if (item % 3 === 0) await clock.advance(1);
    }
    await batcher.close();
    check();
    expect(checks).toBeGreaterThan(300);
    expect(batcher.state.pending).toBe(0);
  });
});

test('works without jest spies: a plain subclass and its events', () => {
  class Summer extends BatchPlease<number, { sum: number }> {
    override batchInit() {
      return { sum: 0 };
    }
    override batchAddItem(batch: { sum: number }, item: number) {
      batch.sum += item;
    }
    override batchFlush(batch: { sum: number }) {
      sums.push(batch.sum);
    }
  }
  const sums: number[] = [];
  const summer = new Summer({ maxBatchSize: 3 });
  summer.addItem(1);
  summer.addItem(2);
  summer.addItem(3);
  expect(sums).toEqual([6]);
});

test('an attempt that a timer starts a moment early has no negative duration', async () => {
  const clock = new TestClock();
  const durations: number[] = [];
  const batcher = new MemoryBatcher<number>({
    clock: earlyClock(clock),
    maxBatchSize: 1,
    retry: { attempts: 2, minDelay: 10, jitter: false },
    batchFlush() {
      throw new Error('down');
    },
  });
  batcher.on('failed', ({ duration }) => durations.push(duration));
  batcher.on('held', ({ duration }) => durations.push(duration));
  batcher.addItem(1);
  await clock.advance(20);
  expect(durations).toEqual([0, 0]);
});
