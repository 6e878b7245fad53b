import { AsyncLocalStorage } from 'node:async_hooks';
import { MemoryBatcher, type MemoryBatch } from 'batch-please/collectors';
import { TestClock } from 'batch-please/testing';
import {
  bench,
  expectBalanced,
  settled,
  strayErrors,
  warnings,
  watch,
  type NumberOptions,
} from '../support/collectors.js';

// Faults from public bug reports about batchers, tried on this one: each by what went wrong, and by its kind. Those that
// need a process of their own are in reported-processes.long.test.ts, those of signals in test/collectors/.

const RETRY = { attempts: 6, minDelay: 100, jitter: false } as const;

describe('a bound on what is pending voided the back-off', () => {
  /** 60 items, one every 5 ms, into a sink that takes 5 ms and is down for 300 ms: retries span 3.1 s. */
  async function outage(options: NumberOptions, add: (batcher: MemoryBatcher<number>, item: number) => unknown) {
    const clock = new TestClock();
    let failed = 0;
    const batcher = new MemoryBatcher<number>({
      clock,
      maxBatchSize: 5,
      giveUp: 'drop',
      retry: RETRY,
      batchFlush: async () => {
        await new Promise<void>((resolve) => clock.setTimer(resolve, 5));
        if (clock.now() >= 300) return;
        failed++;
        throw new Error('down');
      },
      ...options,
    });
    batcher.on('failed', () => {});
    for (let i = 0; i < 60; i++) {
      add(batcher, i);
      await clock.advance(5);
    }
    await clock.advance(5000);
    return { failed, counts: batcher.state.counts };
  }

  test('maxPending: 10 and awaited adds: of 60 items none is lost, and the sink that is down is asked twice', async () => {
    const { failed, counts } = await outage({ maxPending: 10 }, (batcher, item) => batcher.syncAddItem(item));
    expect({ failed, dropped: counts.dropped, delivered: counts.delivered }).toEqual({
      failed: 2,
      dropped: 0,
      delivered: 60,
    });
  });

  test('if (!addItem(x)) await flush(), in many request handlers: nothing is lost either', async () => {
    const { failed, counts } = await outage({ highWaterMark: 10 }, async (batcher, item) => {
      if (!batcher.addItem(item)) await batcher.flush().catch(() => {});
    });
    expect({ dropped: counts.dropped, delivered: counts.delivered }).toEqual({ dropped: 0, delivered: 60 });
    // Each wait of the schedule is hurried once at most.
    expect(failed).toBeLessThanOrEqual(4);
  });

  test.each(['syncAddItem', 'deliverItem'] as const)(
    'A11: 500 callers of %s on a dead sink: 4 attempts in the first second, as the schedule says',
    async (verb) => {
      const times: number[] = [];
      const { clock, batcher } = bench({
        maxBatchSize: 5,
        maxPending: 10,
        retry: { jitter: false },
        batchFlush: () => {
          times.push(clock.now());
          throw new Error('down');
        },
      });
      batcher.on('failed', () => {});
      for (let i = 0; i < 500; i++) {
        void batcher[verb](i);
        await clock.advance(2);
      }
      expect(times).toEqual([0, 100, 300, 700].map((ms) => ms + 8)); // the fifth item fills the batch
      batcher.clear();
    },
  );
});

describe('user code that threw within a turn wedged the batcher', () => {
  test('a batchId that reads the first item of a batch which its sink has emptied', async () => {
    warnings();
    const stray = await strayErrors(async () => {
      const batcher = new MemoryBatcher<{ id: string }>({
        maxBatchSize: 2,
        batchId: ({ items }: MemoryBatch<{ id: string }>) => (items[0] as { id: string }).id,
        async batchFlush({ items }) {
          for (let item = items.shift(); item !== undefined; item = items.shift()) await Promise.resolve(item);
        },
      });
      batcher.on('flushed', () => {});
      batcher.addItems([{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }]);
      await batcher.flush();
      await batcher.close({ timeout: 100 });
      expect(batcher.state.pending).toBe(0);
    });
    expect(stray).toEqual([]);
  });

  class WithField extends MemoryBatcher<number> {
    override readonly batchId = 0 as unknown as () => string;
  }
  const fail = (): never => {
    throw new Error('by the user');
  };
  const broken = { now: fail, setTimer: fail, clearTimer: fail };
  interface Broken {
    what: string;
    options: NumberOptions;
    warns?: boolean;
  }
  test.each<Broken>([
    { what: 'batchId throws', options: { batchId: fail } },
    { what: 'batchId returns a number', options: { batchId: (() => 5) as never } },
    { what: 'batchId returns a symbol', options: { batchId: (() => Symbol('id')) as never } },
    {
      what: 'batchId returns a promise that rejects',
      options: { batchId: (() => Promise.reject(new Error('id'))) as never },
    },
    {
      what: 'weigh throws now and then',
      options: { maxBatchWeight: 5, weigh: (item) => (item % 2 === 0 ? fail() : 1) },
    },
    { what: 'shouldFlush throws', options: { shouldFlush: fail } },
    { what: 'retry.delay throws', options: { retry: { attempts: 2, delay: fail } } },
    {
      what: 'retry.delay returns a promise that rejects',
      options: { retry: { attempts: 2, delay: (() => Promise.reject(new Error('delay'))) as never } },
    },
    { what: 'the clock throws', options: { clock: broken } },
    { what: 'the clock returns nonsense', options: { clock: { ...broken, now: () => NaN, setTimer: () => null } } },
    { what: 'process.emitWarning was replaced by one that throws', options: { batchId: fail }, warns: false },
  ])('A9: $what: everything settles, nothing reaches the process', async ({ options, warns = true }) => {
    if (warns) warnings();
    else jest.spyOn(process, 'emitWarning').mockImplementation(fail);
    const stray = await strayErrors(async () => {
      let calls = 0;
      const batcher = new MemoryBatcher<number>({
        maxBatchSize: 2,
        retry: { attempts: 3, minDelay: 1 },
        giveUp: 'drop',
        batchFlush: () => {
          if (++calls === 1) throw new Error('once');
        },
        ...options,
      });
      for (const item of [1, 2, 3, 4, 5]) expect(() => batcher.addItem(item)).not.toThrow();
      const promises = [batcher.syncAddItem(7), batcher.deliverItem(9), batcher.flush()].map(watch);
      await batcher.close({ timeout: 2000 });
      await settled();
      for (const promise of promises) expect(promise.state).not.toBe('pending');
      expect(batcher.state.pending).toBe(0);
      expectBalanced(batcher);
    });
    expect(stray).toEqual([]);
  });

  test('a subclass whose field batchId is no function', async () => {
    warnings();
    const batcher = new WithField({ maxBatchSize: 1, batchFlush: () => {} });
    expect(() => batcher.addItem(1)).not.toThrow();
    await batcher.close();
    expect(batcher.state.counts.delivered).toBe(1);
  });
});

describe('later addItems overtook callers that wait for room, without end', () => {
  test('a listener that adds at each flushed: the caller that waits is let in first', async () => {
    let added = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      maxPending: 2,
      batchFlush: () => new Promise<void>((resolve) => clock.setTimer(resolve, 1)),
    });
    batcher.on('refused', () => {});
    batcher.on('flushed', () => batcher.addItem(++added));
    batcher.addItems([0, 0]);
    const waits = watch(batcher.syncAddItem(1));
    await clock.advance(3);
    expect(waits.state).toBe('resolved');
    batcher.clear();
  });

  test.each(['flushed', 'drained', 'failed', 'dropped'] as const)(
    'nor does an addItem within %s, within a hook, or of another producer',
    async (event) => {
      let down = true;
      const order: number[] = [];
      const { clock, batcher } = bench({
        maxBatchSize: 2,
        maxPending: 2,
        retry: { attempts: 2, minDelay: 5, jitter: false },
        giveUp: 'drop',
        batchFlush: async ({ items }) => {
          await new Promise<void>((resolve) => clock.setTimer(resolve, 1));
          batcher.addItem(100);
          if (down) throw new Error('down');
          order.push(...items);
        },
      });
      batcher.on('refused', () => {});
      for (const name of ['failed', 'dropped'] as const) batcher.on(name, () => {});
      batcher.on(event, () => batcher.addItem(200));
      batcher.addItems([0, 0]);
      for (const item of [1, 2, 3]) void batcher.deliverItem(item);
      const polling = async (): Promise<void> => {
        for (let i = 0; i < 50; i++) {
          batcher.addItem(300);
          await clock.advance(1);
          if (i === 10) down = false;
        }
      };
      await polling();
      expect(order.slice(0, 3)).toEqual([1, 2, 3].slice(0, 3));
      await clock.advance(100);
      batcher.clear();
    },
  );
});

describe('options were half read through the prototype', () => {
  test('weigh as a method of a class of options: 100 × 5 with a limit of 10 are 50 batches', async () => {
    class Config {
      maxBatchWeight = 10;
      weigh(item: number): number {
        return item;
      }
    }
    const sizes: number[] = [];
    const batchFlush = ({ items }: MemoryBatch<number>): void => void sizes.push(items.length);
    const batcher = new MemoryBatcher<number>(Object.assign(new Config(), { batchFlush }));
    for (let i = 0; i < 100; i++) batcher.addItem(5);
    await batcher.close();
    expect(sizes).toEqual(Array.from({ length: 50 }, () => 2));
  });

  test('Object.create(defaults): what is checked is what is used: giveUp and batchDeadLetter', async () => {
    const dead: number[] = [];
    const defaults: NumberOptions = {
      maxBatchSize: 2,
      giveUp: 'drop',
      retry: Object.create({ attempts: 1 }) as { attempts: number },
      batchDeadLetter: ({ items }) => void dead.push(...items),
      batchFlush: () => {
        throw new Error('down');
      },
    };
    const batcher = new MemoryBatcher<number>(Object.create(defaults) as NumberOptions);
    batcher.on('dropped', () => {});
    batcher.addItems([1, 2]);
    await batcher.close();
    expect(dead).toEqual([1, 2]);
  });

  test('getters are read once: what was checked cannot change', () => {
    let reads = 0;
    const options = {
      get maxBatchSize() {
        return ++reads === 1 ? 2 : -1;
      },
      retry: {
        get attempts() {
          return ++reads <= 2 ? 3 : -1;
        },
      },
    };
    const { config } = new MemoryBatcher<number>(options).state;
    expect([config.maxBatchSize, config.retry.attempts, reads]).toEqual([2, 3, 2]);
  });

  test.each(['flush', 'close'] as const)('options of %s through a prototype, too', async (verb) => {
    const { clock, batcher } = bench({ batchFlush: () => new Promise(() => {}) });
    batcher.on('closed', () => {});
    batcher.addItem(1);
    const promise = watch(batcher[verb](Object.create({ timeout: 20 }) as { timeout: number }));
    await clock.advance(20);
    expect(promise.state).toBe('rejected');
    await clock.advance(2000);
  });
});

describe('what never happens was silent', () => {
  test.each<[string, unknown]>([
    ['a promise of true', Promise.resolve(true)],
    ['a match, which is truthy', ['COMMIT']],
    ['1', 1],
    ['undefined', undefined],
  ])('shouldFlush that returns %s counts as false, and is warned of once', (_what, answer) => {
    const seen = warnings();
    const { batcher, batches } = bench({ shouldFlush: (() => answer) as never });
    batcher.addItems([1, 2, 3]);
    expect(batches).toEqual([]);
    expect(seen.filter((warning) => warning.includes('shouldFlush'))).toHaveLength(1);
    batcher.clear();
  });

  test("giveUp: 'drop' with endless attempts never drops, and says so", () => {
    const seen = warnings();
    const { batcher } = bench({ giveUp: 'drop' });
    batcher.addItem(1);
    expect(seen.join()).toMatch(/never drops.*attempts/);
    batcher.clear();
    const quiet = bench({ giveUp: 'drop', retry: { attempts: 3 } }).batcher;
    const other = bench({ giveUp: 'drop', retry: { delay: () => false } }).batcher;
    for (const one of [quiet, other]) one.addItem(1);
    expect(seen).toHaveLength(1);
    for (const one of [quiet, other]) one.clear();
  });
});

describe('names and values of users that met ours', () => {
  test('a subclass may have a field storage, or any other of our private names', async () => {
    class Named extends MemoryBatcher<number> {
      readonly storage = 'mine';
      readonly events = 1;
      readonly core = 2;
      readonly options = 3;
    }
    const batcher = new Named({ maxBatchSize: 1, batchFlush: () => {} });
    await batcher.deliverItem(1);
    expect(batcher.storage).toBe('mine');
  });

  test('an item that is a revoked proxy is an item like any other', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const seen: unknown[] = [];
    const batcher = new MemoryBatcher<object>({
      maxBatchSize: 5,
      maxPending: 10,
      batchFlush: ({ items }) => void seen.push(items.length),
    });
    expect(batcher.addItem(proxy)).toBe(true);
    expect(batcher.addItem(proxy, { onError: () => {} })).toBe(true);
    await batcher.syncAddItem(proxy);
    void batcher.deliverItem(proxy);
    await batcher.flush();
    expect(seen).toEqual([4]);
  });
});

test.each([1e7, Number.MAX_SAFE_INTEGER, Infinity])(
  'flushConcurrency: %p ended the process, or cost memory for unused lanes',
  async (flushConcurrency) => {
    const { batcher, batches } = bench({ flushConcurrency, maxBatchSize: 1 });
    const start = process.memoryUsage().heapUsed;
    batcher.addItem(1);
    expect(process.memoryUsage().heapUsed - start).toBeLessThan(20_000_000);
    await batcher.close();
    expect(batches).toEqual([[1]]);
  },
);

describe('the async context of a flush is that of what started it, and says nothing about its items', () => {
  const request = new AsyncLocalStorage<string>();

  /** The context of each delivery, and its items; a delivery takes 10 ms. */
  function contexts(options: NumberOptions) {
    const seen: [string | undefined, number[]][] = [];
    const { clock, batcher } = bench({
      batchFlush: ({ items }) => {
        seen.push([request.getStore(), items]);
        return new Promise<void>((resolve) => clock.setTimer(resolve, 10));
      },
      ...options,
    });
    const add = (item: number): void => {
      request.run(`request ${item}`, () => batcher.addItem(item));
    };
    return { clock, batcher, seen, add };
  }

  test('3 and 4, added by requests of their own behind a busy lane, ran in the context of request 2', async () => {
    const { clock, seen, add } = contexts({ maxBatchSize: 2 });
    [1, 2, 3, 4].forEach(add);
    await clock.advance(20);
    expect(seen).toEqual([
      ['request 2', [1, 2]],
      ['request 2', [3, 4]],
    ]);
  });

  test('a batch that its age makes due runs in the context in which its timer was set: that of its first item', async () => {
    // The platform's own timers, since they carry the context.
    const seen = new Promise((resolve) => {
      const batcher = new MemoryBatcher<number>({
        maxTimeSinceFirstItem: 5,
        batchFlush: ({ items }) => {
          resolve([request.getStore(), items]);
        },
      });
      for (const item of [1, 2]) request.run(`request ${item}`, () => batcher.addItem(item));
    });
    expect(await seen).toEqual(['request 1', [1, 2]]);
  });

  test('one that flush() makes due runs in the context of that call', () => {
    const { batcher, seen, add } = contexts({});
    add(1);
    void request.run('flush', () => batcher.flush());
    expect(seen).toEqual([['flush', [1]]]);
  });
});

describe('16,000 attempts that timed out at the same moment blocked the event loop for 331 ms', () => {
  const COUNT = 1000;
  /** How many were settled at each moment of the clock, or firing of its timer. */
  const perMoment = (times: readonly number[]) => [...new Set(times)].map((at) => times.filter((t) => t === at).length);

  /** Counts the firings of its timers; time can also pass while code runs. */
  function ringing() {
    const clock = new TestClock();
    const count = { rings: 0, spent: 0 };
    const setTimer = (fn: () => void, ms: number) =>
      clock.setTimer(() => {
        count.rings++;
        fn();
      }, ms);
    const counting = { now: () => clock.now() + count.spent, setTimer, clearTimer: clock.clearTimer.bind(clock) };
    return { clock, counting, count };
  }

  test.each([0, 0.1])('1000 = 250 + 250 + 250 + 250, with listeners that call back and take %d ms', async (ms) => {
    const times: number[] = [];
    const { clock, counting, count } = ringing();
    const { batcher } = bench({
      clock: counting,
      maxBatchSize: 1,
      flushConcurrency: Infinity,
      flushTimeout: 200,
      retry: false,
      giveUp: 'drop',
      batchFlush: () => new Promise(() => undefined),
    });
    batcher.on('dropped', () => {
      times.push(count.rings);
      count.spent += ms;
      void batcher.flush();
    });
    for (let i = 0; i < COUNT; i++) batcher.addItem(i);
    await clock.advance(200);
    expect(times).toHaveLength(250);
    await clock.advance(10);
    expect(perMoment(times)).toEqual([250, 250, 250, 250]);
    expect(clock.pendingTimers).toBe(0);
    expectBalanced(batcher);
  });

  test('nor do those that are tried again: each has its timeout and its retry', async () => {
    const times: number[] = [];
    let attempts = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      flushConcurrency: Infinity,
      flushTimeout: 200,
      retry: { attempts: 2, minDelay: 100, jitter: false },
      batchFlush: (_batch, { attempt }) => {
        attempts++;
        return attempt === 1 ? new Promise(() => undefined) : undefined;
      },
    });
    batcher.on('failed', () => times.push(clock.now()));
    for (let i = 0; i < COUNT; i++) batcher.addItem(i);
    await clock.advance(400);
    expect(perMoment(times)).toEqual([250, 250, 250, 250]);
    expect([attempts, batcher.state.counts.delivered]).toEqual([2 * COUNT, COUNT]);
  });

  test('its kind: 1000 calls of flush() whose timeouts come at the same moment', async () => {
    const { clock, counting, count } = ringing();
    const left: number[] = [];
    const { batcher } = bench({ clock: counting, maxBatchSize: 1, batchFlush: () => new Promise(() => undefined) });
    batcher.addItem(1);
    for (let i = 0; i < COUNT; i++) batcher.flush({ timeout: 50 }).catch(() => left.push(count.rings));
    await clock.advance(50);
    expect(perMoment(left)).toEqual([250, 250, 250, 250]);
  });
});
