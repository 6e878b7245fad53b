import { BatchPlease, PartialFlushError, TooLargeError } from 'batch-please';
import { TestClock } from 'batch-please/testing';
import { bench, expectBalanced, settled, strayErrors, watch } from '../support/collectors.js';

const RETRY = { jitter: false, minDelay: 100, factor: 1 } as const;

/** A sink that fails for some items, by the given errors. */
function picky(errors: (item: number, attempt: number) => unknown) {
  const attempts: number[][] = [];
  const ids: string[] = [];
  const flush = ({ items }: { items: number[] }, context: { id: string; attempt: number }): void => {
    attempts.push([...items]);
    ids.push(context.id);
    const failed = items.map((item) => errors(item, context.attempt));
    if (failed.some((error) => error !== undefined)) throw new PartialFlushError(failed);
  };
  return { attempts, ids, flush };
}

describe('PartialFlushError', () => {
  test('4 => 2 delivered, 2 (retry): promises, counts and ids are exact per item', async () => {
    const { attempts, ids, flush } = picky((item, attempt) =>
      item > 2 && attempt === 1 ? new Error('503') : undefined,
    );
    const { clock, batcher } = bench({ maxBatchSize: 4, retry: RETRY, batchFlush: flush });
    const failed = jest.fn();
    const flushed = jest.fn();
    batcher.on('failed', failed);
    batcher.on('flushed', flushed);
    const adds = [1, 2, 3, 4].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(adds.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'pending', 'pending']);
    expect(batcher.state).toMatchObject({ pending: 2, counts: { delivered: 2 } });
    expect(batcher.state.batches).toMatchObject([{ size: 2, status: 'retrying', retryAt: 100, attempt: 1 }]);
    await clock.advance(100);
    expect(adds.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved', 'resolved']);
    expect(attempts).toEqual([
      [1, 2, 3, 4],
      [3, 4],
    ]);
    expect(ids[1]).toBe(`${String(ids[0])}/1`);
    expect(flushed.mock.calls).toMatchObject([[{ size: 2 }], [{ size: 2, attempt: 2, id: ids[1] }]]);
    expect(failed.mock.calls).toMatchObject([[{ size: 2, id: ids[1], retryAt: 100 }]]);
    expectBalanced(batcher);
  });

  test('pairs of [index, error] mean the same', async () => {
    const { batcher } = bench({
      maxBatchSize: 3,
      retry: { ...RETRY, attempts: 1 },
      giveUp: 'drop',
      batchFlush: () => {
        throw new PartialFlushError([[1, new Error('bad row')]]);
      },
    });
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    const adds = [1, 2, 3].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(adds.map(({ state }) => state)).toEqual(['resolved', 'rejected', 'resolved']);
    expect(adds[1]?.error).toMatchObject({ name: 'FlushError', cause: new Error('bad row'), size: 1 });
    expect(dropped.mock.calls).toMatchObject([[{ reason: 'giveUp', size: 1, batch: { items: [2] } }]]);
    expect(batcher.state.counts).toMatchObject({ delivered: 2, dropped: 1 });
  });

  test('retry.delay decides per item: one again, one given up, the longest delay counts', async () => {
    const { attempts, flush } = picky((item, attempt) =>
      item === 1 ? { status: 400 } : item < 4 && attempt === 1 ? { status: 429, after: item * 1000 } : undefined,
    );
    const letters: unknown[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 5,
      giveUp: 'drop',
      retry: {
        ...RETRY,
        delay: ({ error }) => {
          const { status, after } = error as { status: number; after: number };
          return status === 400 ? false : after;
        },
      },
      batchFlush: flush,
      batchDeadLetter: ({ items }, error) => void letters.push([...items, error]),
    });
    batcher.on('dropped', () => {});
    batcher.on('failed', () => {});
    const adds = [1, 2, 3, 4, 5].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    // With one lane the part that is tried again keeps its place before the one that is given up.
    expect(adds.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'resolved', 'resolved']);
    await clock.advance(2999);
    expect(attempts).toHaveLength(1);
    await clock.advance(1);
    expect(attempts[1]).toEqual([2, 3]);
    expect(letters).toEqual([[1, { status: 400 }]]);
    expect(adds.map(({ state }) => state)).toEqual(['rejected', 'resolved', 'resolved', 'resolved', 'resolved']);
    expectBalanced(batcher);
  });

  test('the only item of a batch was given up without its own error, unlike one of several', async () => {
    const { batcher } = bench({
      maxBatchSize: 1,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => {
        throw new PartialFlushError([new Error('bad row')]);
      },
      batchDeadLetter: (_, error) => void letters.push(error),
    });
    const letters: unknown[] = [];
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    const error = new Error('bad row');
    await expect(batcher.deliverItem(1)).rejects.toMatchObject({ name: 'FlushError', cause: error });
    expect(letters).toEqual([error]);
    expect(dropped.mock.calls).toMatchObject([[{ error }]]);
  });

  test('of all items: the batch is tried again as it is, with its id', async () => {
    const { attempts, ids, flush } = picky((_item, attempt) => (attempt === 1 ? 'no' : undefined));
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: RETRY, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2]);
    await clock.advance(100);
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(ids[0]).toBe(ids[1]);
  });

  test('pairs as Object.entries makes them, with positions that are text, name the same items', async () => {
    const { batcher, batches } = bench({
      maxBatchSize: 3,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => {
        throw new PartialFlushError(Object.entries({ 2: new Error('bad row') }));
      },
      batchDeadLetter: ({ items }) => void batches.push(items),
    });
    batcher.on('dropped', () => {});
    batcher.addItems([1, 2, 3]);
    await settled();
    expect(batches).toEqual([[3]]);
    expect(batcher.state.counts.delivered).toBe(2);
  });

  test.each([
    ['throws', undefined],
    ['rejects with', Promise.resolve()],
  ])('a batchPreFlush that %s one fails the whole attempt: nothing was delivered yet', async (_how, before) => {
    let attempts = 0;
    const fail = (): void => {
      if (attempts++ === 0) throw new PartialFlushError(['invalid', undefined]);
    };
    const { clock, batcher, batches } = bench({
      maxBatchSize: 2,
      retry: RETRY,
      batchPreFlush: () => {
        if (before === undefined) fail();
        return before?.then(fail);
      },
    });
    const failed = jest.fn();
    batcher.on('failed', failed);
    batcher.addItems([1, 2]);
    await settled();
    expect(batcher.state.counts.delivered).toBe(0);
    expect(failed.mock.calls).toMatchObject([[{ size: 2, error: { cause: { name: 'PartialFlushError' } } }]]);
    await clock.advance(100);
    expect(batches).toEqual([[1, 2]]);
  });

  test('of none: everything is delivered', async () => {
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: () => Promise.reject(new PartialFlushError([])) });
    const add = watch(batcher.deliverItem(1));
    batcher.addItem(2);
    await settled();
    expect([add.state, batcher.state.counts.delivered]).toEqual(['resolved', 2]);
  });

  test.each([
    ['a position out of range', [[7, 'x']], /no item at position 7 in a batch of 2/],
    ['a list that is too long', [undefined, undefined, 'x'], /no item at position 2/],
    ['no list', 5, /must be a list/],
  ])('%s fails the attempt with an error that says so', async (_what, errors, message) => {
    const { batcher } = bench({
      maxBatchSize: 2,
      retry: false,
      batchFlush: () => {
        throw new PartialFlushError(errors as never);
      },
    });
    const held = jest.fn();
    batcher.on('held', held);
    batcher.addItems([1, 2]);
    await settled();
    expect(held.mock.calls).toMatchObject([
      [{ size: 2, error: { message: expect.stringMatching(message) as unknown } }],
    ]);
    expect(batcher.state.pending).toBe(2);
  });

  test('without a batchSplit it fails the attempt with an error that says so', async () => {
    class Plain extends BatchPlease<number, number[]> {
      override batchInit(): number[] {
        return [];
      }
      override batchAddItem(batch: number[], item: number): void {
        batch.push(item);
      }
      override batchFlush(): void {
        throw new PartialFlushError([undefined, 'bad']);
      }
    }
    const batcher = new Plain({ maxBatchSize: 2, retry: false, clock: new TestClock() });
    const held = jest.fn();
    batcher.on('held', held);
    batcher.addItem(1);
    batcher.addItem(2);
    await settled();
    expect(held.mock.calls).toMatchObject([[{ error: { message: expect.stringMatching(/batchSplit/) as unknown } }]]);
  });

  test('A9: a batchSplit that throws holds the batch as it is', async () => {
    const { batcher } = bench({
      maxBatchSize: 2,
      retry: false,
      batchFlush: () => {
        throw new PartialFlushError([undefined, 'bad']);
      },
      batchSplit: () => {
        throw new Error('no split');
      },
    });
    batcher.on('held', () => {});
    batcher.addItems([1, 2]);
    await settled();
    await expect(batcher.flush()).rejects.toMatchObject({ cause: new Error('no split') });
    expectBalanced(batcher);
  });

  test('A4: a batchSplit that returns a promise, which rejects, fails the attempt and nothing else', async () => {
    const held = jest.fn();
    const stray = await strayErrors(async () => {
      const { batcher } = bench({
        maxBatchSize: 2,
        retry: false,
        batchFlush: () => {
          throw new PartialFlushError([undefined, 'bad']);
        },
        batchSplit: (() => Promise.reject(new Error('async'))) as never,
      });
      batcher.on('held', held);
      batcher.addItems([1, 2]);
      await settled();
    });
    expect(held.mock.calls).toMatchObject([[{ size: 2 }]]);
    expect(stray).toEqual([]);
  });

  test('A7: with one lane the part that is tried again goes before newer batches', async () => {
    const { attempts, flush } = picky((item, attempt) => (item === 2 && attempt === 1 ? 'later' : undefined));
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: RETRY, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4]);
    await settled();
    expect(attempts).toEqual([[1, 2]]);
    await clock.advance(100);
    expect(attempts).toEqual([[1, 2], [2], [3, 4]]);
  });

  test('flush() waits for the part that is tried again', async () => {
    const { flush } = picky((item, attempt) => (item === 2 && attempt === 1 ? 'later' : undefined));
    const { clock, batcher } = bench({ retry: RETRY, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2]);
    const flushed = watch(batcher.flush());
    await settled();
    expect(flushed.state).toBe('pending');
    await clock.advance(100);
    expect(flushed.state).toBe('resolved');
  });
});

describe('TooLargeError', () => {
  test('8 => 4+4 => 4 = 2+2 at once, no attempt being used up', async () => {
    const sent: number[][] = [];
    const attemptsSeen: number[] = [];
    const { batcher } = bench({
      maxBatchSize: 8,
      retry: { attempts: 1 },
      batchFlush: ({ items }, { attempt }) => {
        attemptsSeen.push(attempt);
        if (items.length > 2) throw new TooLargeError();
        sent.push([...items]);
      },
    });
    const adds = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(sent).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    expect(new Set(attemptsSeen)).toEqual(new Set([1]));
    expect(adds.every(({ state }) => state === 'resolved')).toBe(true);
  });

  test.each(['hold', 'drop', 'split'] as const)(
    'a single item that is too large is given up and delays nothing, with giveUp %s',
    async (giveUp) => {
      const letters: number[][] = [];
      const { batcher } = bench({
        maxBatchSize: 2,
        giveUp,
        batchFlush: ({ items }) => {
          if (items.includes(2)) throw new TooLargeError('413');
        },
        batchDeadLetter: ({ items }) => void letters.push([...items]),
      });
      batcher.on('dropped', () => {});
      const adds = [1, 2, 3, 4].map((item) => watch(batcher.deliverItem(item)));
      await settled();
      expect(adds.map(({ state }) => state)).toEqual(['resolved', 'rejected', 'resolved', 'resolved']);
      expect(letters).toEqual([[2]]);
      expect(batcher.state.batches).toEqual([]);
      expect(batcher.state.counts).toMatchObject({ delivered: 3, dropped: 1 });
    },
  );
});

describe("giveUp: 'split'", () => {
  function poisoned(poison: (item: number) => boolean, options: object = {}) {
    const attempts: number[][] = [];
    const letters: number[][] = [];
    const setup = bench({
      maxBatchSize: 8,
      retry: false,
      giveUp: 'split',
      batchFlush: ({ items }) => {
        attempts.push([...items]);
        if (items.some(poison)) throw new Error('no');
      },
      batchDeadLetter: ({ items }) => void letters.push([...items]),
      ...options,
    });
    for (const event of ['failed', 'held', 'dropped'] as const) setup.batcher.on(event, () => {});
    return { ...setup, attempts, letters };
  }

  test('one poison item of 8 is found and given up, the other 7 are delivered', async () => {
    const { batcher, letters, attempts } = poisoned((item) => item === 6);
    const adds = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(letters).toEqual([[6]]);
    expect(adds.map(({ state }) => state === 'resolved')).toEqual([true, true, true, true, true, false, true, true]);
    expect(batcher.state.counts).toMatchObject({ delivered: 7, dropped: 1 });
    // Blamed only after something else succeeded, and after one more attempt of its own.
    expect(attempts.filter((items) => items.length === 1 && items[0] === 6)).toHaveLength(2);
    expectBalanced(batcher);
  });

  test('an outage blames no item: after 2·log2(8)+2 failures in a row everything is held', async () => {
    let down = true;
    const { batcher, letters, attempts } = poisoned(() => down);
    const adds = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => watch(batcher.deliverItem(item)));
    await settled();
    expect(letters).toEqual([]);
    expect(attempts.length).toBeLessThanOrEqual(8);
    expect(batcher.state.counts.dropped).toBe(0);
    expect(batcher.state.pending).toBe(8);
    down = false;
    await batcher.flush();
    await settled();
    expect(adds.every(({ state }) => state === 'resolved')).toBe(true);
    expectBalanced(batcher);
  });

  test('nothing is split any further after 2·log2(16)+2 = 10 failures: 16, 8, 4, 2, 1, 1, 2, 1, 1, 4', async () => {
    const { batcher, attempts } = poisoned(() => true, { maxBatchSize: 16 });
    batcher.addItems(Array.from({ length: 16 }, (_, i) => i));
    await settled();
    expect(attempts.map(({ length }) => length)).toEqual([16, 8, 4, 2, 1, 1, 2, 1, 1, 4]);
    expect(batcher.state.pending).toBe(16);
    batcher.clear();
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'poison item %i in what an outage has left is found when the sink is back, with one lane',
    async (poison) => {
      let down = true;
      const { batcher, letters } = poisoned((item) => down || item === poison);
      const adds = [1, 2, 3, 4, 5, 6, 7, 8].map((item) => watch(batcher.deliverItem(item)));
      for (let flush = 0; flush < 3; flush++) await batcher.flush().catch(() => {});
      expect(letters).toEqual([]);
      down = false;
      // Each trigger tries what is held once.
      for (let flush = 0; flush < 4; flush++) {
        await batcher.flush().catch(() => {});
        await settled();
      }
      batcher.addItem(9);
      await batcher.flush().catch(() => {});
      await settled();
      expect(letters).toEqual([[poison]]);
      expect(adds.filter(({ state }) => state === 'resolved')).toHaveLength(7);
      expectBalanced(batcher);
    },
  );

  test('a poison item alone is held until something else was delivered', async () => {
    const { batcher, letters } = poisoned((item) => item === 1, { maxBatchSize: 1 });
    batcher.addItem(1);
    await settled();
    expect([letters, batcher.state.pending]).toEqual([[], 1]);
    batcher.addItem(2);
    await settled();
    expect(batcher.state.counts).toMatchObject({ delivered: 1, dropped: 1 });
    expect(letters).toEqual([[1]]);
  });

  test('A2: flush() of a suspected item alone rejects instead of waiting for ever', async () => {
    const { batcher } = poisoned(() => true, { maxBatchSize: 1 });
    batcher.addItem(1);
    await expect(batcher.flush()).rejects.toMatchObject({ name: 'FlushError' });
    await expect(batcher.close()).rejects.toMatchObject({ name: 'CloseError', undelivered: 1 });
  });

  test('after an outage flush() resolves once all that was held or stepped aside is delivered', async () => {
    let down = true;
    const { clock, batcher } = bench({
      maxBatchSize: 8,
      retry: { ...RETRY, attempts: 2 },
      giveUp: 'split',
      batchFlush: () => {
        if (down) throw new Error('down');
      },
    });
    batcher.on('failed', () => {});
    batcher.on('held', () => {});
    batcher.addItems([1, 2, 3, 4, 5, 6, 7, 8]);
    await clock.advance(10_000);
    await expect(batcher.flush()).rejects.toMatchObject({ name: 'FlushError' });
    down = false;
    await batcher.flush();
    expect(batcher.state).toMatchObject({ pending: 0, counts: { delivered: 8 } });
  });

  test('close() distinguishes poison from an outage, too: what fails again after others were delivered is a dead letter', async () => {
    const letters: number[][] = [];
    const { batcher } = bench({
      retry: { ...RETRY, attempts: 1 },
      giveUp: 'split',
      batchFlush: ({ items }) => {
        if (items.includes(2)) throw new Error('poison');
      },
      batchDeadLetter: ({ items }) => void letters.push(items),
    });
    batcher.on('failed', () => {});
    batcher.on('dropped', () => {});
    batcher.addItems([1, 2, 3, 4]);
    await batcher.close();
    expect(letters).toEqual([[2]]);
    expect(batcher.state).toMatchObject({ pending: 0, counts: { delivered: 3, dropped: 1 } });
  });

  test('close() during an outage leaves every item undelivered, and ends', async () => {
    const { batcher } = bench({
      retry: { ...RETRY, attempts: 1 },
      giveUp: 'split',
      batchFlush: () => Promise.reject(new Error('down')),
      batchDeadLetter: () => {
        throw new Error('nobody is to blame');
      },
    });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4]);
    await expect(batcher.close()).rejects.toMatchObject({ name: 'CloseError', undelivered: 4 });
    expectBalanced(batcher);
  });

  test('two poison items of 8, beside a steady stream of others', async () => {
    const { batcher, letters } = poisoned((item) => item === 3 || item === 12);
    for (let i = 1; i <= 40; i++) batcher.addItem(i);
    await batcher.flush().catch(() => {});
    await settled();
    expect(letters.flat().sort((a, b) => a - b)).toEqual([3, 12]);
    expect(batcher.state.counts).toMatchObject({ delivered: 38, dropped: 2 });
    expectBalanced(batcher);
  });
});

describe('several items are given up, each with its own error: b and d of four', () => {
  const [b, d] = [new Error('b'), new Error('d')];

  test.each([
    ['beside others that are delivered', [undefined, b, undefined, d], ['delivered', b, 'delivered', d]],
    ['and they are the whole batch', [d, b, d, b], [d, b, d, b]],
    ['in pairs', [[3, d], [1, b]], ['delivered', b, 'delivered', d]], // prettier-ignore
  ])('%s: the promise of each rejects with its own', async (_, errors, expected) => {
    const given: unknown[] = [];
    const { batcher } = bench({
      maxBatchSize: 4,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => {
        throw new PartialFlushError(errors);
      },
      batchDeadLetter: ({ items }, error) => {
        given.push(items.map((item, place) => [item, (error as PartialFlushError).errors[place]]));
      },
    });
    const outcomes = [0, 1, 2, 3].map((item) =>
      batcher.deliverItem(item).then(
        () => 'delivered',
        (error: unknown) => (error as Error).cause,
      ),
    );
    expect(await Promise.all(outcomes)).toEqual(expected);
    if (expected[0] === 'delivered') expect(given).toEqual([[[1, b], [3, d]]]); // prettier-ignore
    else expect(given).toEqual([[[0, d], [1, b], [2, d], [3, b]]]); // prettier-ignore
  });

  test('the same error for all of them stays that error', async () => {
    const errors: unknown[] = [];
    const { batcher } = bench({
      maxBatchSize: 3,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => {
        throw new PartialFlushError([undefined, b, b]);
      },
    });
    batcher.on('dropped', ({ error }) => errors.push(error));
    batcher.addItems([1, 2, 3]);
    await settled();
    expect(errors).toEqual([b]);
  });
});
