import { FlushError, ItemError, TimeoutError, type BatchPleaseEvents, type FlushContext } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import { TestClock, gate } from 'batch-please/testing';
import {
  bench,
  expectBalanced,
  flushedBy,
  settled,
  sink,
  warnings,
  watch,
  type Numbers,
} from '../support/collectors.js';

type Failed = BatchPleaseEvents<number>['failed'];

afterEach(() => jest.restoreAllMocks());

/** A sink that fails the first so many times, and notes every attempt. */
function flaky(failures: number, how: 'throws' | 'rejects' = 'rejects') {
  const attempts: number[][] = [];
  const contexts: FlushContext[] = [];
  const batchFlush = ({ items }: Numbers, context: FlushContext): void | Promise<void> => {
    attempts.push([...items]);
    contexts.push(context);
    if (attempts.length > failures) return;
    const error = new Error(`failure ${attempts.length}`);
    if (how === 'throws') throw error;
    return Promise.reject(error);
  };
  return { attempts, contexts, batchFlush };
}

const noJitter = { jitter: false };

describe('a flush that fails', () => {
  test.each(['throws', 'rejects'] as const)('2 => %s => 2 (retry): the batch is kept and tried again', async (how) => {
    const { attempts, batchFlush } = flaky(1, how);
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: noJitter, batchFlush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2]);
    await clock.advance(99);
    expect(attempts).toEqual([[1, 2]]);
    expect(batcher.state).toMatchObject({ pending: 2, counts: { delivered: 0, flushes: 0 } });
    await clock.advance(1);
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(batcher.state).toMatchObject({ pending: 0, counts: { delivered: 2, flushes: 1 } });
    expectBalanced(batcher);
  });

  test('A7: 2 => fails, 2, 2 => 2 (retry), 2, 2: newer batches wait behind it', async () => {
    const { attempts, batchFlush } = flaky(2);
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: noJitter, batchFlush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4, 5, 6]);
    await clock.advance(1000);
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
  });

  test('id and reason are the same in every attempt, attempt counts from 1, and another batch has another id', async () => {
    const { contexts, batchFlush } = flaky(2);
    const { clock, batcher } = bench({ maxTimeSinceFirstItem: 10, retry: noJitter, batchFlush });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    await clock.advance(1000);
    batcher.addItem(2);
    await clock.advance(1000);
    expect(contexts.map(({ attempt, reason, size }) => [attempt, reason, size])).toEqual([
      [1, 'age', 1],
      [2, 'age', 1],
      [3, 'age', 1],
      [1, 'age', 1],
    ]);
    const ids = contexts.map(({ id }) => id);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(ids[3]).not.toBe(ids[0]);
  });

  test('two batchers never share an id', () => {
    const ids = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const { batcher } = bench({ maxBatchSize: 1, batchFlush: (_batch, { id }) => void ids.add(id) });
      batcher.addItems([1, 2]);
    }
    expect(ids.size).toBe(200);
  });
});

describe('retry', () => {
  /** How long each of the first so many failures was waited for. */
  async function delays(count: number, retry: object): Promise<number[]> {
    const waits: number[] = [];
    const { clock, batcher } = bench({ maxBatchSize: 1, retry, batchFlush: flaky(Infinity).batchFlush });
    batcher.on('failed', ({ retryAt }: Failed) => waits.push(retryAt - clock.now()));
    batcher.addItem(1);
    for (let i = 0; i < count; i++) await clock.advance(30_000);
    return waits.slice(0, count);
  }

  test('by default 100, 200, 400, … up to 30,000 ms, without end', async () => {
    expect(await delays(12, noJitter)).toEqual([
      100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000,
    ]);
  });

  test('min(maxDelay, minDelay · factor^(n−1)): 10, 30, 90, 100, 100', async () => {
    expect(await delays(5, { minDelay: 10, factor: 3, maxDelay: 100, jitter: false })).toEqual([10, 30, 90, 100, 100]);
  });

  test('jitter, the default, draws from the upper half of the delay', async () => {
    for (let run = 0; run < 50; run++) {
      const [first = NaN, second = NaN, third = NaN] = await delays(3, {});
      expect(first).toBeGreaterThanOrEqual(50);
      expect(first).toBeLessThanOrEqual(100);
      expect(second).toBeGreaterThanOrEqual(100);
      expect(second).toBeLessThanOrEqual(200);
      expect(third).toBeGreaterThanOrEqual(200);
      expect(third).toBeLessThanOrEqual(400);
    }
  });

  test('jitter differs from draw to draw', async () => {
    const firsts = new Set<number>();
    for (let run = 0; run < 20; run++) firsts.add((await delays(1, {}))[0] ?? NaN);
    expect(firsts.size).toBeGreaterThan(10);
  });

  test('missing fields keep their defaults', () => {
    expect(bench({ retry: { attempts: 7 } }).batcher.state.config.retry).toMatchObject({
      attempts: 7,
      minDelay: 100,
      maxDelay: 30_000,
      factor: 2,
      jitter: true,
      maxElapsed: Infinity,
      delay: undefined,
    });
    expect(bench({ retry: { factor: null, jitter: undefined } }).batcher.state.config.retry).toMatchObject({
      attempts: Infinity,
      minDelay: 100,
      maxDelay: 30_000,
      factor: 2,
      jitter: true,
    });
  });

  test('attempts: 3 means 3 in all', async () => {
    const { attempts, batchFlush } = flaky(Infinity);
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: { attempts: 3 }, batchFlush });
    batcher.on('failed', () => {});
    batcher.on('held', () => {});
    batcher.addItem(1);
    await clock.advance(100_000);
    expect(attempts).toHaveLength(3);
  });

  test('false means a single attempt', async () => {
    const { attempts, batchFlush } = flaky(Infinity);
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: false, batchFlush });
    batcher.on('held', () => {});
    batcher.addItem(1);
    await clock.advance(100_000);
    expect(attempts).toHaveLength(1);
  });

  test('a minDelay of 0 goes on for ever: 1,100 failures, then delivered', async () => {
    const { attempts, batchFlush } = flaky(1100, 'throws');
    const { clock, batcher } = bench({ maxBatchSize: 1, retry: { minDelay: 0 }, batchFlush });
    batcher.on('failed', () => {});
    batcher.addItem(1);
    await clock.advance(5000);
    expect(attempts).toHaveLength(1101);
    expect(batcher.state.pending).toBe(0);
  });
});

describe("giveUp: 'hold'", () => {
  test('2 => fails => held: kept, counted as pending, and no timer runs for it', async () => {
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: false, batchFlush: flaky(Infinity).batchFlush });
    const held = jest.fn();
    batcher.on('held', held);
    batcher.addItems([1, 2]);
    await settled();
    expect(held).toHaveBeenCalledTimes(1);
    expect(held.mock.calls[0]).toMatchObject([{ size: 2, attempt: 1, reason: 'size', error: new Error('failure 1') }]);
    expect(batcher.state.pending).toBe(2);
    expect(clock.pendingTimers).toBe(0);
    expectBalanced(batcher);
  });

  test('A7: 2 held, then 2 (size) => 2 (retry), 2: the next trigger tries it first', async () => {
    const { attempts, batchFlush } = flaky(1);
    const { batcher } = bench({ maxBatchSize: 2, retry: false, batchFlush });
    batcher.on('held', () => {});
    batcher.addItems([1, 2]);
    await settled();
    batcher.addItem(3);
    await settled();
    expect(attempts).toEqual([[1, 2]]);
    batcher.addItem(4);
    await settled();
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
      [3, 4],
    ]);
  });

  test('the tick of the interval is a trigger: held at 100, tried again at 200', async () => {
    const { attempts, batchFlush } = flaky(1);
    const { clock, batcher } = bench({ flushInterval: 100, retry: false, batchFlush });
    batcher.on('held', () => {});
    batcher.addItem(1);
    await clock.advance(199);
    expect(attempts).toHaveLength(1);
    await clock.advance(1);
    expect(attempts).toHaveLength(2);
    expect(batcher.state.pending).toBe(0);
  });

  test('so is the age of the next batch, tried after it: 1 held, 1 => 1 (retry), 1 (age)', async () => {
    const { attempts, batchFlush } = flaky(1);
    const { clock, batcher } = bench({ maxTimeSinceFirstItem: 100, retry: false, batchFlush });
    batcher.on('held', () => {});
    batcher.addItem(1);
    await clock.advance(100);
    batcher.addItem(2);
    await clock.advance(99);
    expect(attempts).toEqual([[1]]);
    await clock.advance(1);
    expect(attempts).toEqual([[1], [1], [2]]);
  });

  test('A2: a sink that was down for a while and items that keep coming: nothing stays wedged behind a held batch', async () => {
    let down = true;
    const { clock, batcher } = bench({
      maxTimeSinceFirstItem: 100,
      retry: false,
      batchFlush: () => {
        if (down) throw new Error('down');
      },
    });
    batcher.on('held', () => {});
    for (let item = 0; item < 100; item++) {
      if (item === 10) down = false;
      batcher.addItem(item);
      await clock.advance(60);
    }
    expect(batcher.state.counts.delivered).toBeGreaterThan(90);
  });

  test('flush() tries it at once; it rejects with FlushError if that fails, and resolves if it succeeds', async () => {
    const { attempts, batchFlush } = flaky(2);
    const { batcher } = bench({ maxBatchSize: 2, retry: false, batchFlush });
    batcher.on('held', () => {});
    batcher.addItems([1, 2]);
    await settled();
    const error = await batcher.flush().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(FlushError);
    expect(error).toMatchObject({ code: 'ERR_BATCH_FLUSH', size: 2, attempt: 2, cause: new Error('failure 2') });
    await batcher.flush();
    expect(attempts).toHaveLength(3);
    expect(batcher.state.pending).toBe(0);
  });

  test('promises about its items wait until it is delivered', async () => {
    const { batcher } = bench({ maxBatchSize: 2, retry: false, batchFlush: flaky(1).batchFlush });
    batcher.on('held', () => {});
    const delivered = watch(batcher.deliverItem(1));
    const synced = watch(batcher.syncAddItem(2));
    await settled();
    expect([delivered.state, synced.state]).toEqual(['pending', 'pending']);
    await batcher.flush();
    await settled();
    expect([delivered.state, synced.state]).toEqual(['resolved', 'resolved']);
  });

  test('a flush() that covers only older, delivered items does not reject for it', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, retry: false, flushConcurrency: 2, batchFlush: flush });
    batcher.on('held', () => {});
    batcher.addItem(1);
    const first = watch(batcher.flush());
    batcher.addItem(2);
    const both = watch(batcher.flush());
    flush.openAll();
    await settled();
    expect([first.state, both.state]).toEqual(['resolved', 'resolved']);
    const again = sink();
    const { batcher: other } = bench({ maxBatchSize: 1, retry: false, flushConcurrency: 2, batchFlush: again });
    other.on('held', () => {});
    other.addItem(1);
    const covered = watch(other.flush());
    other.addItem(2);
    const all = watch(other.flush());
    const [, failing] = again.calls;
    expect(failing).toBeDefined();
    // The oldest call is item 1: it succeeds, item 2 fails.
    again.open();
    again.fail(new Error('no'));
    await settled();
    expect([covered.state, all.state]).toEqual(['resolved', 'rejected']);
  });
});

describe("giveUp: 'drop'", () => {
  test('2 => fails, 2 (dropped), then 2 (size): goes to batchDeadLetter with its error, is emitted, and the rest moves on', async () => {
    const { attempts, batchFlush } = flaky(2);
    const letters: unknown[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 2,
      retry: { attempts: 2 },
      giveUp: 'drop',
      batchFlush,
      batchDeadLetter: ({ items }, error) => void letters.push([items, error]),
    });
    const dropped = jest.fn();
    batcher.on('dropped', dropped);
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4]);
    await clock.advance(1000);
    expect(letters).toEqual([[[1, 2], new Error('failure 2')]]);
    expect(dropped.mock.calls).toEqual([
      [{ reason: 'giveUp', size: 2, error: new Error('failure 2'), batch: { items: [1, 2] } }],
    ]);
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
      [3, 4],
    ]);
    expect(batcher.state.counts).toMatchObject({ delivered: 2, dropped: 2, flushes: 1 });
    expectBalanced(batcher);
  });

  test('promises about its items reject, and so does a flush() that covers it, with FlushError and the cause', async () => {
    const { batcher } = bench({ retry: false, giveUp: 'drop', batchFlush: flaky(1).batchFlush });
    batcher.on('dropped', () => {});
    const onError = jest.fn();
    batcher.addItem(1, { onError });
    const delivered = batcher.deliverItem(2);
    await expect(batcher.flush()).rejects.toMatchObject({ name: 'FlushError', size: 2, cause: new Error('failure 1') });
    await expect(delivered).rejects.toBeInstanceOf(FlushError);
    expect(onError).toHaveBeenCalledTimes(1);
    expect(onError).toHaveBeenCalledWith(expect.any(FlushError));
    expectBalanced(batcher);
  });

  test('A2: a dead letter hook that throws, rejects or never settles leaves no promise pending and blocks nothing', async () => {
    const seen = warnings();
    for (const batchDeadLetter of [
      () => {
        throw new Error('dead letter');
      },
      () => Promise.reject(new Error('dead letter')),
      () => new Promise<void>(() => {}),
    ]) {
      const { attempts, batchFlush } = flaky(1);
      const { clock, batcher } = bench({
        maxBatchSize: 1,
        retry: false,
        giveUp: 'drop',
        flushTimeout: 50,
        batchFlush,
        batchDeadLetter,
      });
      batcher.on('dropped', () => {});
      const first = watch(batcher.deliverItem(1));
      const second = watch(batcher.deliverItem(2));
      await clock.advance(1000);
      expect([first.state, second.state]).toEqual(['rejected', 'resolved']);
      expect(attempts).toEqual([[1], [2]]);
      expectBalanced(batcher);
    }
    expect(seen.length).toBeGreaterThan(0);
  });
});

describe('flush() and back-off', () => {
  test('2 => fails, flush() => 2 at once: a demand skips the delay', async () => {
    const { attempts, batchFlush } = flaky(1);
    const { clock, batcher } = bench({ maxBatchSize: 2, retry: { minDelay: 10_000 }, batchFlush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2]);
    await settled();
    await batcher.flush();
    expect(attempts).toHaveLength(2);
    expect(clock.now()).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('flushTimeout', () => {
  test('A2: 1 => hangs => 1 (retry): an attempt that takes longer fails with TimeoutError, and its signal aborts with it', async () => {
    const flush = sink();
    const failures: unknown[] = [];
    const { clock, batcher } = bench({ maxBatchSize: 1, flushTimeout: 50, retry: noJitter, batchFlush: flush });
    batcher.on('failed', ({ error }: Failed) => failures.push(error));
    batcher.addItem(1);
    const signal = flush.calls[0]?.[1].signal;
    expect(signal?.aborted).toBe(false);
    await clock.advance(49);
    expect(failures).toEqual([]);
    await clock.advance(1);
    expect(failures).toEqual([expect.any(TimeoutError)]);
    expect(failures).toMatchObject([{ code: 'ERR_BATCH_TIMEOUT', timeout: 50 }]);
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(failures[0]);
    await clock.advance(100);
    expect(flush.calls).toHaveLength(2);
    expect(flush.calls[1]?.[1].signal.aborted).toBe(false);
  });

  test.each(['open', 'fail'] as const)('A2: what an attempt answers after it expired is ignored (%s)', async (late) => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, flushTimeout: 50, retry: noJitter, batchFlush: flush });
    const failed = jest.fn();
    batcher.on('failed', failed);
    const delivered = watch(batcher.deliverItem(1));
    await clock.advance(150); // expired at 50, tried again at 150
    expect(flush.waiting).toBe(2);
    if (late === 'open') flush.open();
    else flush.fail(new Error('late'));
    await settled();
    expect(failed).toHaveBeenCalledTimes(1);
    expect(delivered.state).toBe('pending');
    flush.open();
    await settled();
    expect(delivered.state).toBe('resolved');
    expect(batcher.state.counts).toMatchObject({ flushes: 1, delivered: 1 });
    expectBalanced(batcher);
  });

  test('30 of 50 in preFlush leave 20 for flush; a late preFlush does not start a flush', async () => {
    const prepare = gate<unknown[], undefined>();
    const flush = sink();
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      flushTimeout: 50,
      retry: noJitter,
      batchPreFlush: prepare,
      batchFlush: flush,
    });
    const failed = jest.fn();
    batcher.on('failed', failed);
    batcher.addItem(1);
    await clock.advance(30);
    prepare.open();
    await clock.advance(19);
    expect(flush.calls).toHaveLength(1);
    expect(failed).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(failed).toHaveBeenCalledTimes(1);
    await clock.advance(150); // the second attempt expires in preFlush
    expect(failed).toHaveBeenCalledTimes(2);
    prepare.open();
    await settled();
    expect(flush.calls).toHaveLength(1);
  });

  test('a postFlush that takes longer is reported and tried again; the batch is not', async () => {
    const after = gate<unknown[], undefined>();
    const { clock, batcher, batches } = bench({
      maxBatchSize: 1,
      flushTimeout: 50,
      retry: noJitter,
      batchPostFlush: after,
    });
    const failed = jest.fn();
    batcher.on('failed', failed);
    batcher.addItem(1);
    await clock.advance(50);
    expect(failed).toHaveBeenCalledTimes(1);
    expect(failed.mock.calls).toMatchObject([[{ error: { name: 'TimeoutError' }, retryAt: 150 }]]);
    await clock.advance(100);
    expect(after.calls).toHaveLength(2);
    after.openAll();
    await settled();
    expect(batches).toEqual([[1]]);
  });

  test.each(['batchInit', 'batchAddItem'] as const)(
    'A2: a %s that takes longer refuses its item, and the next one gets in; its late answer changes nothing',
    async (hook) => {
      const slow = gate<unknown[], Numbers>();
      let first = true;
      const { clock, batcher, batches } = bench({
        flushTimeout: 50,
        [hook]: (batch: Numbers, item: number) => {
          if (first) {
            first = false;
            return slow();
          }
          if (hook === 'batchInit') return { items: [] };
          batch.items.push(item);
          return undefined;
        },
      });
      const refused = jest.fn();
      batcher.on('refused', refused);
      const outcomes = [watch(batcher.syncAddItem(1)), watch(batcher.syncAddItem(2))];
      await clock.advance(49);
      expect(outcomes.map(({ state }) => state)).toEqual(['pending', 'pending']);
      await clock.advance(1);
      expect(outcomes.map(({ state }) => state)).toEqual(['rejected', 'resolved']);
      expect(outcomes[0]?.error).toBeInstanceOf(ItemError);
      expect(outcomes[0]?.error).toMatchObject({ hook, cause: expect.any(TimeoutError) as unknown });
      expect(refused).toHaveBeenCalledTimes(1);
      slow.open({ items: [99] });
      await settled();
      await batcher.flush();
      expect(batches).toEqual([[2]]);
      expectBalanced(batcher);
    },
  );

  test('an item refused for its slow add hook never becomes lastItem', async () => {
    const add = gate<unknown[], undefined>();
    const { clock, batcher } = bench({
      flushTimeout: 50,
      batchAddItem: (_batch, item) => (item === 1 ? add() : undefined),
    });
    batcher.on('refused', () => {});
    batcher.addItem(1);
    await clock.advance(50);
    batcher.addItem(2);
    add.open();
    await settled();
    expect(batcher.state.lastItem).toBe(2);
  });

  test('none by default: a flush may take as long as it wants', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    const delivered = watch(batcher.deliverItem(1));
    await clock.advance(1e9);
    expect(delivered.state).toBe('pending');
    flush.open();
    await settled();
    expect(delivered.state).toBe('resolved');
  });
});

describe('flushConcurrency', () => {
  test('1 by default: never two at the same time', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.addItems([1, 2, 3]);
    expect(flush.waiting).toBe(1);
    flush.open();
    await settled();
    expect(flush.waiting).toBe(1);
    expect(flushedBy(flush)).toEqual([[1], [2]]);
  });

  test('3 = 2 at a time, then 1', async () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, flushConcurrency: 2, batchFlush: flush });
    batcher.addItems([1, 2, 3]);
    expect(flush.waiting).toBe(2);
    flush.open();
    await settled();
    expect(flushedBy(flush)).toEqual([[1], [2], [3]]);
    expect(flush.waiting).toBe(2);
  });

  test('with 2, a batch that waits for its retry does not stop the others', async () => {
    const flush = sink();
    const { clock, batcher } = bench({ maxBatchSize: 1, flushConcurrency: 2, retry: noJitter, batchFlush: flush });
    batcher.on('failed', () => {});
    batcher.addItems([1, 2, 3, 4]);
    flush.fail(new Error('no')); // item 1
    flush.openAll();
    await settled();
    expect(flushedBy(flush)).toEqual([[1], [2], [3], [4]]);
    await clock.advance(100);
    expect(flushedBy(flush)).toEqual([[1], [2], [3], [4], [1]]);
    expect(batcher.state.pending).toBe(0);
  });

  test('A3: flush() covers what is in flight on every lane', async () => {
    const flush = sink();
    const batcher = new MemoryBatcher<number>({
      clock: new TestClock(),
      maxBatchSize: 1,
      flushConcurrency: 3,
      batchFlush: flush,
    });
    batcher.addItems([1, 2, 3]);
    const flushed = watch(batcher.flush());
    flush.open();
    flush.open();
    await settled();
    expect(flushed.state).toBe('pending');
    flush.open();
    await settled();
    expect(flushed.state).toBe('resolved');
  });
});
