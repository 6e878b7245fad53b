import { BatchPlease, ItemError, MissingHookError, type BatchPleaseOptions, type FlushContext } from 'batch-please';
import { type MemoryBatch, MemoryBatcher } from 'batch-please/collectors';
import { gate } from 'batch-please/testing';
import {
  type Watched,
  bench,
  errorWith,
  expectBalanced,
  settled,
  sink,
  warnings,
  watch,
} from '../support/collectors.js';

afterEach(() => jest.restoreAllMocks());

interface Log {
  lines: string[];
}

/** Writes down every hook that runs. */
class Logger extends BatchPlease<string, Log> {
  readonly log: string[] = [];

  override batchInit(): Log {
    this.log.push('init');
    return { lines: [] };
  }
  override batchAddItem(batch: Log, item: string): void {
    this.log.push(`add ${item}`);
    batch.lines.push(item);
  }
  override batchPreFlush(batch: Log): void {
    this.log.push(`pre ${batch.lines.join()}`);
  }
  override batchFlush(batch: Log): void {
    this.log.push(`flush ${batch.lines.join()}`);
  }
  override batchPostFlush(batch: Log): void {
    this.log.push(`post ${batch.lines.join()}`);
  }
  override batchTerminate(batch: Log | undefined): void {
    this.log.push(`terminate ${batch?.lines.join() ?? 'nothing'}`);
  }
}

describe('hooks as methods', () => {
  test('run in the order init, add, …, preFlush, flush, postFlush, and terminate at close', async () => {
    const logger = new Logger({ maxBatchSize: 2 });
    logger.addItems(['a', 'b', 'c']);
    await logger.close();
    expect(logger.log).toEqual([
      ...['init', 'add a', 'add b', 'pre a,b', 'flush a,b', 'post a,b'],
      ...['init', 'add c', 'pre c', 'flush c', 'post c'],
      'terminate nothing',
    ]);
  });

  test('none runs in the constructor, so that a subclass has its fields', () => {
    const logger = new Logger({ maxBatchSize: 1, flushInterval: 10 });
    expect(logger.log).toEqual([]);
    logger.addItem('a');
    expect(logger.log[0]).toBe('init');
  });

  test('may be arrow functions in fields of the subclass', () => {
    class Fields extends BatchPlease<number, number[]> {
      seen: number[][] = [];
      override batchInit = () => [];
      override batchAddItem = (batch: number[], item: number) => void batch.push(item);
      override batchFlush = (batch: number[]) => void this.seen.push(batch);
    }
    const batcher = new Fields({ maxBatchSize: 2 });
    batcher.addItems([1, 2]);
    expect(batcher.seen).toEqual([[1, 2]]);
  });
});

describe('hooks as options', () => {
  test('win over the class, each by itself', async () => {
    const log: string[] = [];
    const options: BatchPleaseOptions<string, Log> = {
      maxBatchSize: 1,
      batchInit: () => ({ lines: ['mine'] }),
      batchAddItem: (batch, item) => void batch.lines.push(item.toUpperCase()),
      batchPreFlush: ({ lines }) => void log.push(`pre ${lines.join()}`),
      batchFlush: ({ lines }) => void log.push(`flush ${lines.join()}`),
      batchPostFlush: ({ lines }) => void log.push(`post ${lines.join()}`),
      batchTerminate: (batch) => void log.push(`terminate ${batch === undefined ? 'nothing' : 'something'}`),
      shouldFlush: () => (log.push('should'), false),
    };
    const logger = new Logger(options);
    logger.addItem('a');
    await logger.close();
    expect(logger.log).toEqual([]);
    expect(log.filter((line) => line !== 'should')).toEqual([
      'pre mine,A',
      'flush mine,A',
      'post mine,A',
      'terminate nothing',
    ]);
    expect(log).toContain('should');
  });

  test('one option leaves the other hooks to the class', () => {
    const flushed: string[][] = [];
    const logger = new Logger({ maxBatchSize: 1, batchFlush: ({ lines }) => void flushed.push(lines) });
    logger.addItem('a');
    expect(flushed).toEqual([['a']]);
    expect(logger.log).toEqual(['init', 'add a', 'pre a', 'post a']);
  });

  test('null leaves the hook to the class', () => {
    const logger = new Logger({ maxBatchSize: 1, batchFlush: null, batchPreFlush: null });
    logger.addItem('a');
    expect(logger.log).toEqual(['init', 'add a', 'pre a', 'flush a', 'post a']);
  });

  test('batchInit gets the options of the batcher', () => {
    const options = { maxBatchSize: 7, batchInit: jest.fn(() => ({ lines: [] as string[] })) };
    const logger = new Logger(options);
    logger.addItem('a');
    expect(options.batchInit.mock.calls).toEqual([[expect.objectContaining({ maxBatchSize: 7 })]]);
  });

  test('the options are read at construction: changing the object later changes nothing', () => {
    const options: BatchPleaseOptions<string, Log> = { maxBatchSize: 2 };
    const logger = new Logger(options);
    options.maxBatchSize = 1;
    options.batchFlush = () => {
      throw new Error('too late');
    };
    logger.addItems(['a', 'b']);
    expect(logger.log).toContain('flush a,b');
  });
});

describe('a missing required hook', () => {
  class Bare extends BatchPlease<number, number[]> {}
  const all = { batchInit: () => [], batchAddItem: () => {}, batchFlush: () => {} };

  test.each(['batchInit', 'batchAddItem', 'batchFlush'])(
    '%s: throws MissingHookError at the first add, naming both ways',
    async (hook) => {
      const batcher = new Bare({ ...all, [hook]: undefined });
      expect(() => batcher.addItem(1)).toThrow(MissingHookError);
      expect(() => batcher.addItem(1)).toThrow(errorWith({ code: 'ERR_BATCH_HOOK', hook }));
      expect(() => batcher.addItem(1)).toThrow(new RegExp(`${hook}.*method.*option`));
      expect(() => batcher.addItems([1])).toThrow(MissingHookError);
      await expect(batcher.syncAddItem(1)).rejects.toBeInstanceOf(MissingHookError);
      await expect(batcher.deliverItem(1)).rejects.toBeInstanceOf(MissingHookError);
      expect(batcher.state.counts.totalItems).toBe(0);
      await batcher.flush();
      await batcher.close();
    },
  );

  test('a field of that name which is no function is no hook', () => {
    const batcher = new (class extends Bare {
      override readonly batchFlush = 5 as never;
    })({ ...all, batchFlush: undefined });
    expect(() => batcher.addItem(1)).toThrow(errorWith({ code: 'ERR_BATCH_HOOK', hook: 'batchFlush' }));
  });

  test('with all three as options there is none', () => {
    expect(new Bare(all).addItem(1)).toBe(true);
  });

  test('looking at the state first does not fix what is missing', () => {
    const batcher = new Bare({ batchAddItem: () => {}, batchFlush: () => {} });
    expect(batcher.state.pending).toBe(0);
    batcher.batchInit = () => [];
    expect(batcher.addItem(1)).toBe(true);
  });
});

describe('batchInit', () => {
  test('makes the state of each batch at its first item', () => {
    let batches = 0;
    const { batcher } = bench({ maxBatchSize: 2, batchInit: () => (batches++, { items: [] }) });
    expect(batches).toBe(0);
    batcher.addItem(1);
    expect(batches).toBe(1);
    batcher.addItem(2);
    expect(batches).toBe(1);
    batcher.addItem(3);
    expect(batches).toBe(2);
  });

  test.each(['throws', 'rejects'])('that %s refuses the item that needed it, and only that', async (how) => {
    let calls = 0;
    const { batcher, batches } = bench({
      batchInit: () => {
        if (calls++ > 0) return { items: [] };
        if (how === 'throws') throw new Error('init');
        return Promise.reject(new Error('init'));
      },
    });
    batcher.on('refused', () => {});
    const outcomes = [watch(batcher.syncAddItem(1)), watch(batcher.syncAddItem(2))];
    await settled();
    expect(outcomes.map(({ state }) => state)).toEqual(['rejected', 'resolved']);
    expect(outcomes[0]?.error).toMatchObject({ name: 'ItemError', hook: 'batchInit', cause: new Error('init') });
    await batcher.flush();
    expect(batches).toEqual([[2]]);
    expectBalanced(batcher);
  });

  test('may be async; what arrives meanwhile waits, in order', async () => {
    const init = gate<unknown[], { items: number[] }>();
    const { batcher, batches } = bench({ batchInit: init });
    batcher.addItems([1, 2, 3]);
    expect(batcher.state).toMatchObject({ pending: 3, batch: undefined });
    init.open({ items: [] });
    await batcher.flush();
    expect(batches).toEqual([[1, 2, 3]]);
    expect(init.calls).toHaveLength(1);
  });
});

describe('batchAddItem', () => {
  test('adds by the hook itself, before its promise, settle like the one that it runs for: 1 + 2 callers', async () => {
    const inner: Watched[] = [];
    const { batcher, batches } = bench({
      batchAddItem: async ({ items }, item) => {
        if (item === 1) for (const more of [2, 3]) inner.push(watch(batcher.syncAddItem(more)));
        await settled();
        items.push(item);
      },
    });
    const outer = watch(batcher.syncAddItem(1));
    await batcher.close();
    expect([outer, ...inner].map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  test('returns nothing and changes the batch, or returns the next state', async () => {
    class Sum extends BatchPlease<number, number> {}
    const sums: number[] = [];
    for (const batchAddItem of [
      (sum: number, item: number) => sum + item,
      async (sum: number, item: number) => sum + item,
    ]) {
      const batcher = new Sum({ batchInit: () => 0, batchAddItem, batchFlush: (sum) => void sums.push(sum) });
      batcher.addItems([1, 2, 3]);
      await batcher.flush();
    }
    expect(sums).toEqual([6, 6]);
  });

  test.each(['throws', 'rejects'])('that %s refuses that item alone: 1, 3 of 1, 2, 3', async (how) => {
    const { batcher, batches } = bench({
      batchAddItem: (batch, item) => {
        if (item !== 2) return { items: [...batch.items, item] };
        if (how === 'throws') throw new Error('two');
        return Promise.reject(new Error('two'));
      },
    });
    const refused = jest.fn();
    batcher.on('refused', refused);
    batcher.addItems([1, 2, 3]);
    await batcher.flush();
    expect(batches).toEqual([[1, 3]]);
    expect(refused.mock.calls).toEqual([[{ item: 2, error: expect.any(ItemError) as unknown }]]);
    expect(batcher.state.counts).toMatchObject({ totalItems: 3, delivered: 2, refused: 1 });
    expectBalanced(batcher);
  });

  test('a batch whose every item was refused is not flushed', async () => {
    const { batcher, sizes } = bench({
      maxTimeSinceFirstItem: 10,
      batchAddItem: () => {
        throw new Error('no');
      },
    });
    batcher.on('refused', () => {});
    batcher.addItems([1, 2]);
    await batcher.flush();
    await batcher.close();
    expect(sizes).toEqual([]);
  });

  test('refused items do not count towards the size: 3 of 1, 2, 3, 4 fill a batch of 3', () => {
    const { batcher, batches } = bench({
      maxBatchSize: 3,
      batchAddItem: (batch, item) => {
        if (item === 2) throw new Error('two');
        batch.items.push(item);
      },
    });
    batcher.on('refused', () => {});
    batcher.addItems([1, 2, 3]);
    expect(batches).toEqual([]);
    batcher.addItem(4);
    expect(batches).toEqual([[1, 3, 4]]);
  });

  test('A7: async ones run one after the other, in the order of acceptance', async () => {
    const seen: number[] = [];
    const { batcher, batches } = bench({
      batchAddItem: async (batch, item) => {
        for (let i = item; i < 5; i++) await Promise.resolve();
        seen.push(item);
        batch.items.push(item);
      },
    });
    batcher.addItems([1, 2, 3, 4]);
    await batcher.flush();
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(batches).toEqual([[1, 2, 3, 4]]);
  });
});

describe('weigh', () => {
  test.each<[string, () => number]>([
    [
      'throws',
      () => {
        throw new Error('heavy');
      },
    ],
    ['gives NaN', () => NaN],
    ['gives a negative number', () => -1],
  ])('that %s refuses the item', (_what, bad) => {
    const { batcher } = bench({ maxBatchWeight: 10, weigh: (item) => (item === 2 ? bad() : 1) });
    const refused = jest.fn();
    batcher.on('refused', refused);
    batcher.addItems([1, 2, 3]);
    expect(refused.mock.calls).toMatchObject([[{ item: 2, error: { name: 'ItemError', hook: 'weigh' } }]]);
    expect(batcher.state.batch).toEqual({ items: [1, 3] });
    expectBalanced(batcher);
  });
});

test('weigh that gives a string refuses the item, instead of gluing digits to the sum', () => {
  const { batcher } = bench({ maxBatchWeight: 100, weigh: () => '5' as never });
  const refused = jest.fn();
  batcher.on('refused', refused);
  batcher.addItem(1);
  expect(refused).toHaveBeenCalledTimes(1);
});

describe('batchPreFlush', () => {
  test('what it returns is what flush and postFlush see', async () => {
    for (const wrap of [<T>(value: T) => value, <T>(value: T) => Promise.resolve(value)]) {
      const seen: unknown[] = [];
      const { batcher } = bench({
        batchPreFlush: ({ items }) => wrap({ items: items.map((item) => item * 10) }),
        batchFlush: ({ items }) => void seen.push(['flush', items]),
        batchPostFlush: ({ items }) => void seen.push(['post', items]),
      });
      batcher.addItems([1, 2]);
      await batcher.flush();
      expect(seen).toEqual([
        ['flush', [10, 20]],
        ['post', [10, 20]],
      ]);
    }
  });

  test('null is a state as good as any', async () => {
    class Maybe extends BatchPlease<number, number | null> {}
    const seen: unknown[] = [];
    const batcher = new Maybe({
      batchInit: () => 0,
      batchAddItem: () => {},
      batchPreFlush: () => null,
      batchFlush: (batch) => void seen.push(batch),
    });
    batcher.addItem(1);
    await batcher.flush();
    expect(seen).toEqual([null]);
  });

  test('that fails is a failed attempt: flush does not run, and the next attempt begins with the batch as it was', async () => {
    let attempts = 0;
    const seen: number[][] = [];
    const { clock, batcher, batches } = bench({
      maxBatchSize: 2,
      batchPreFlush: ({ items }) => {
        seen.push(items);
        if (attempts++ === 0) throw new Error('pre');
        return { items: items.map((item) => item + 1) };
      },
    });
    const failed = jest.fn();
    batcher.on('failed', failed);
    batcher.addItems([1, 2]);
    expect(batches).toEqual([]);
    await clock.advance(100);
    expect(seen).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(batches).toEqual([[2, 3]]);
    expect(failed.mock.calls).toMatchObject([[{ error: new Error('pre'), attempt: 1 }]]);
  });
});

describe('batchPostFlush', () => {
  test.each(['throws', 'rejects'])(
    'that %s: the batch counts as delivered, only postFlush is tried again',
    async (how) => {
      let attempts = 0;
      const { clock, batcher, batches } = bench({
        maxBatchSize: 2,
        retry: { jitter: false },
        batchPostFlush: () => {
          if (attempts++ >= 2) return;
          if (how === 'throws') throw new Error('post');
          return Promise.reject(new Error('post'));
        },
      });
      const failed = jest.fn();
      const flushed = jest.fn();
      batcher.on('failed', failed);
      batcher.on('flushed', flushed);
      const delivered = watch(batcher.deliverItem(1));
      batcher.addItem(2);
      await settled();
      expect(delivered.state).toBe('resolved');
      expect(batcher.state).toMatchObject({ pending: 0, counts: { delivered: 2, flushes: 1 } });
      batcher.addItems([3, 4]);
      await settled();
      // It keeps its lane, so that what waits for it stays bounded.
      expect(batches).toEqual([[1, 2]]);
      await clock.advance(10_000);
      expect(batches).toEqual([
        [1, 2],
        [3, 4],
      ]);
      expect(flushed).toHaveBeenCalledTimes(2);
      expect(attempts).toBe(4); // 1 => fails => fails => 1, then 1 for the other batch
      expect(failed).toHaveBeenCalledTimes(2);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  test('does not run after a failed flush', async () => {
    const batchPostFlush = jest.fn();
    const { batcher } = bench({ retry: false, batchPostFlush, batchFlush: () => Promise.reject(new Error('no')) });
    batcher.on('held', () => {});
    batcher.addItem(1);
    await expect(batcher.flush()).rejects.toThrow();
    expect(batchPostFlush).not.toHaveBeenCalled();
  });

  test('has the id and the reason of its batch', async () => {
    const contexts: FlushContext[] = [];
    const { batcher } = bench({
      batchFlush: (_batch, context) => void contexts.push(context),
      batchPostFlush: (_batch, context) => void contexts.push(context),
    });
    batcher.addItem(1);
    await batcher.flush();
    expect(contexts).toHaveLength(2);
    expect(contexts[1]).toMatchObject({ id: contexts[0]?.id, reason: 'demand', size: 1 });
  });
});

describe('context', () => {
  test('is { id, reason, attempt, size, weight, signal }', () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 2, batchFlush: flush });
    batcher.addItems([1, 2]);
    const [, context] = flush.calls[0] ?? [];
    expect(context).toMatchObject({ reason: 'size', attempt: 1, size: 2, weight: 0 });
    expect(context?.id).toMatch(/./);
    expect(context?.signal).toBeInstanceOf(AbortSignal);
  });

  test('a copy of it has the id and the numbers', () => {
    const flush = sink();
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
    batcher.addItem(1);
    const [, context] = flush.calls[0] ?? [];
    expect({ ...context }).toMatchObject({ id: context?.id, reason: 'size', attempt: 1, size: 1, weight: 0 });
  });

  test('the signal of an attempt that succeeded is not aborted, whenever it is looked at', () => {
    let context: FlushContext | undefined;
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: (_batch, given) => void (context = given) });
    batcher.addItem(1);
    expect(context?.signal.aborted).toBe(false);
  });
});

test('hooks are called on their batcher, those from options included', async () => {
  const seen = warnings();
  const on: unknown[] = [];
  class Plain extends BatchPlease<number, number[]> {}
  const note = function (this: unknown): void {
    on.push(this);
  };
  const batcher = new Plain({
    batchInit() {
      note.call(this);
      return [];
    },
    batchAddItem: note,
    batchFlush: note,
    batchTerminate: note,
  });
  batcher.addItem(1);
  await batcher.close();
  expect(on).toEqual([batcher, batcher, batcher, batcher]);
  expect(seen).toEqual([]);
});

describe('a batchAddItem that returns what is no batch', () => {
  test('(batch, item) => batch.items.push(item): the items are refused with a word, and no batch is lost', async () => {
    const { batcher } = bench({
      batchAddItem: (({ items }: { items: number[] }, item: number) => items.push(item)) as never,
    });
    const refused = jest.fn();
    batcher.on('refused', refused);
    batcher.addItems([1, 2]);
    expect(refused.mock.calls).toMatchObject([
      [
        {
          item: 1,
          error: {
            name: 'ItemError',
            message: expect.stringMatching(/expected nothing or the next batch, given 1/) as unknown,
          },
        },
      ],
      [{ item: 2 }],
    ]);
    expect(batcher.state).toMatchObject({ pending: 0, counts: { refused: 2 } });
  });
});

test('a subclass that freezes itself could not be used', async () => {
  const seen: number[] = [];
  class Frozen extends MemoryBatcher<number> {
    constructor() {
      super({});
      Object.freeze(this);
    }

    override batchFlush({ items }: MemoryBatch<number>): void {
      seen.push(...items);
    }
  }
  const batcher = new Frozen();
  batcher.addItem(1);
  await batcher.close();
  expect(seen).toEqual([1]);
});
