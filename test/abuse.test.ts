import { BatchPlease, ClosedError, OptionsError, type BatchPleaseOptions } from 'batch-please';
import { MemoryBatcher } from 'batch-please/collectors';
import { random } from 'batch-please/testing';
import {
  bench,
  errorWith,
  expectBalanced,
  flushedBy,
  settled,
  sink,
  strayErrors,
  warnings,
  watch,
  type NumberOptions,
  type Numbers,
} from './support/collectors.js';

afterEach(() => jest.restoreAllMocks());

const EVENTS = ['flushed', 'failed', 'held', 'dropped', 'refused', 'drained', 'closed'] as const;
const HOOKS = ['batchInit', 'batchAddItem', 'batchPreFlush', 'batchFlush', 'batchPostFlush', 'batchTerminate'] as const;

test('strayErrors sees what it is to see', async () => {
  const error = new Error('stray');
  expect(await strayErrors(() => void Promise.reject(error))).toEqual([error]);
});

describe('A2, A4, A9: hooks that misbehave', () => {
  const manners: [string, () => unknown][] = [
    [
      'throws at once',
      () => {
        throw new Error('at once');
      },
    ],
    ['rejects', () => Promise.reject(new Error('rejected'))],
    ['never settles', () => new Promise(() => {})],
    [
      'throws undefined',
      () => {
        throw undefined;
      },
    ],
    ['rejects with undefined', () => Promise.reject(undefined)],
    ['rejects with a string', () => Promise.reject('a string')],
    ['rejects with an object without prototype', () => Promise.reject(Object.create(null))],
    ['rejects with a symbol', () => Promise.reject(Symbol('s'))],
    [
      'is a foreign thenable that rejects',
      () => ({ then: (_: unknown, reject: (e: unknown) => void) => reject('foreign') }),
    ],
    [
      'is a foreign thenable that throws',
      () => ({
        then() {
          throw new Error('then');
        },
      }),
    ],
    [
      'settles twice',
      () => ({
        then(resolve: (v: unknown) => void, reject: (e: unknown) => void) {
          reject(new Error('first'));
          resolve(undefined);
          reject(new Error('second'));
        },
      }),
    ],
    [
      'settles after it has expired',
      () =>
        new Promise((_, reject) => {
          late.push(reject);
        }),
    ],
  ];
  const late: ((error: unknown) => void)[] = [];
  const cases = HOOKS.flatMap((hook) => manners.map(([what, act]) => [hook, what, act] as const));

  test.each(cases)(
    '%s %s: every promise settles, the next items get through, the counts add up',
    async (hook, _what, act) => {
      warnings();
      let calls = 0;
      const misbehave = (proper: () => unknown) => () => (calls++ < 2 ? act() : proper());
      const stray = await strayErrors(async () => {
        const { clock, batcher } = bench({
          maxBatchSize: 2,
          flushTimeout: 50,
          retry: { attempts: 5, minDelay: 10, jitter: false },
          ...({ [hook]: misbehave(() => (hook === 'batchInit' ? { items: [] } : undefined)) } as NumberOptions),
        });
        const outcomes = [1, 2, 3, 4, 5, 6].map((item) =>
          watch(item % 2 === 0 ? batcher.syncAddItem(item) : batcher.deliverItem(item)),
        );
        const flushed = watch(batcher.flush());
        await clock.advance(5000);
        for (const settle of late.splice(0)) settle(new Error('late'));
        const closed = watch(batcher.close({ timeout: 1000 }));
        await clock.advance(5000);
        expect(flushed.state).not.toBe('pending');
        expect(closed.state).toBe('resolved');
        for (const outcome of outcomes) expect(outcome.state).not.toBe('pending');
        expect(batcher.state.counts.delivered).toBeGreaterThanOrEqual(4);
        expect(batcher.state.pending).toBe(0);
        expectBalanced(batcher);
        expect(clock.pendingTimers).toBe(0);
      });
      expect(stray).toEqual([]);
    },
  );
});

describe('A4: hooks and listeners that call back', () => {
  const calls: [string, (batcher: MemoryBatcher<number>) => unknown][] = [
    ['addItem', (batcher) => batcher.addItem(100)],
    ['addItems', (batcher) => batcher.addItems([100, 101, 102])],
    ['syncAddItem', (batcher) => void batcher.syncAddItem(100)],
    ['deliverItem', (batcher) => void batcher.deliverItem(100)],
    ['flush', (batcher) => void batcher.flush()],
    ['close', (batcher) => void batcher.close({ timeout: 100 })],
    ['close({ flush: false })', (batcher) => void batcher.close({ flush: false, timeout: 100 })],
  ];
  const places = [...HOOKS, 'shouldFlush', 'weigh', 'batchDeadLetter', 'onError', ...EVENTS] as const;
  const cases = places.flatMap((place) => calls.map(([what, call]) => [place, what, call] as const));

  /** Whether items are delivered once and the counts add up, with one call from the place, at its first `times` runs. */
  async function callBack(place: (typeof places)[number], call: (b: MemoryBatcher<number>) => unknown, async: boolean) {
    warnings();
    const delivered: number[] = [];
    const stray = await strayErrors(async () => {
      let left = 3;
      const back = (): void => {
        if (left-- > 0) call(batcher);
      };
      let failures = 0;
      const answer = <T>(value: T): T | Promise<T> => (async ? Promise.resolve(value) : value);
      const at = <T>(name: string, proper: () => T) => {
        if (name === place) back();
        return proper();
      };
      const { clock, batcher } = bench({
        maxBatchSize: 2,
        retry: { attempts: 2, minDelay: 10, jitter: false },
        giveUp: 'drop',
        weigh: () => at('weigh', () => 1),
        shouldFlush: () => at('shouldFlush', () => false),
        batchInit: () => at('batchInit', () => answer({ items: [] as number[] })),
        batchAddItem: (batch, item) =>
          at('batchAddItem', () => {
            if (item === 3) throw new Error('three');
            batch.items.push(item);
            return answer(undefined);
          }),
        batchPreFlush: () => at('batchPreFlush', () => answer(undefined)),
        batchFlush: ({ items }) =>
          at('batchFlush', () => {
            if (items.includes(1) && failures++ < 1) throw new Error('once');
            if (items.includes(5)) throw new Error('always');
            delivered.push(...items);
            return answer(undefined);
          }),
        batchPostFlush: () => at('batchPostFlush', () => answer(undefined)),
        batchDeadLetter: () => at('batchDeadLetter', () => answer(undefined)),
        batchTerminate: () => at('batchTerminate', () => answer(undefined)),
      });
      for (const event of EVENTS) batcher.on(event, () => at(event, () => undefined));
      const outcomes: ReturnType<typeof watch>[] = [];
      for (let item = 1; item <= 8; item++) {
        if (item % 2 === 0) outcomes.push(watch(batcher.deliverItem(item)));
        else batcher.addItem(item, { onError: () => at('onError', () => undefined) });
        if (item % 4 === 0) await clock.advance(5);
      }
      await clock.advance(1000);
      const flushed = watch(batcher.flush());
      await clock.advance(1000);
      const closed = watch(batcher.close({ timeout: 1000 }));
      await clock.advance(10_000);
      expect([flushed.state, closed.state]).not.toContain('pending');
      for (const outcome of outcomes) expect(outcome.state).not.toBe('pending');
      expectBalanced(batcher);
      expect(batcher.state.counts.delivered).toBe(delivered.length);
      expect(clock.pendingTimers).toBe(0);
    });
    expect(stray).toEqual([]);
    const own = delivered.filter((item) => item < 100);
    expect(own).toEqual([...new Set(own)]);
  }

  test.each(cases)(
    '%s calls %s: nothing is delivered twice, no promise hangs, the counts add up',
    async (place, _what, call) => {
      await callBack(place, call, false);
      await callBack(place, call, true);
    },
  );

  test('a sink that flushes from its failed event does not exhaust the stack', async () => {
    warnings();
    let attempts = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      batchFlush: () => {
        if (attempts++ < 20_000) throw new Error('no');
      },
    });
    const stray = await strayErrors(async () => {
      batcher.on('failed', () => void batcher.flush());
      batcher.addItem(1);
      for (let i = 0; i < 20 && batcher.state.pending > 0; i++) await clock.advance(30_000);
    });
    expect(stray).toEqual([]);
    expectBalanced(batcher);
  });

  /** Delivers 100,000 items one by one, each added at the event of the one before it. */
  function chain(event: 'flushed' | 'drained'): number {
    warnings();
    const { batcher } = bench({ maxBatchSize: 1, batchFlush: () => {} });
    batcher.on(event, () => {
      if (batcher.state.counts.totalItems < 100_000) batcher.addItem(1);
    });
    batcher.addItem(0);
    expectBalanced(batcher);
    return batcher.state.counts.delivered;
  }

  test('a chain of 100,000 items, each added when the one before it was flushed, does not exhaust the stack', () => {
    expect(chain('flushed')).toBe(100_000);
  });

  test('nor one of items that are each added when the batcher was drained', () => {
    expect(chain('drained')).toBe(100_000);
  });
});

describe('A4: callbacks that fail', () => {
  test('an onError that throws is reported', () => {
    const seen = warnings();
    const { batcher } = bench({
      batchAddItem: () => Promise.reject(new Error('no')),
      maxPending: 1,
      overflow: 'reject',
    });
    batcher.addItem(1);
    expect(
      batcher.addItem(2, {
        onError: () => {
          throw new Error('onError');
        },
      }),
    ).toBe(false);
    expect(seen).toEqual([expect.stringContaining('onError')]);
  });

  test('an onError that rejects is reported', async () => {
    const seen = warnings();
    const { batcher } = bench({ maxPending: 1, overflow: 'reject' });
    const stray = await strayErrors(() => {
      batcher.addItem(1);

      batcher.addItem(2, { onError: () => Promise.reject(new Error('onError')) });
    });
    expect(stray).toEqual([]);
    expect(seen).toEqual([expect.stringContaining('onError')]);
  });

  test('a shouldFlush that rejects counts as false, and is reported', async () => {
    const seen = warnings();
    const { batcher } = bench({ shouldFlush: () => Promise.reject(new Error('should')) as never });
    const stray = await strayErrors(() => batcher.addItem(1));
    expect(stray).toEqual([]);
    expect(seen).toEqual([expect.stringContaining('should')]);
  });

  test('a weigh that rejects refuses its item', async () => {
    warnings();
    const { batcher } = bench({ maxBatchWeight: 5, weigh: () => Promise.reject(new Error('weigh')) as never });
    const stray = await strayErrors(() => batcher.addItem(1));
    expect(batcher.state.counts.refused).toBe(1);
    expect(stray).toEqual([]);
  });

  test('a listener that throws is reported without end of warnings: once', () => {
    const seen = warnings();
    const { batcher } = bench({ maxBatchSize: 1 });
    batcher.on('flushed', () => {
      throw new Error('listener');
    });
    for (let item = 0; item < 1000; item++) batcher.addItem(item);
    expect(seen.length).toBeLessThanOrEqual(1);
    expect(batcher.state.counts.delivered).toBe(1000);
  });

  test.each<[string, () => unknown]>([
    ['whose message is a symbol', () => Object.assign(new Error(), { message: Symbol('m') })],
    [
      'whose stack throws',
      () =>
        Object.defineProperty(new Error('m'), 'stack', {
          get() {
            throw new Error('stack');
          },
        }),
    ],
    [
      'that is a proxy which throws at everything',
      () =>
        new Proxy(
          {},
          {
            get() {
              throw new Error('get');
            },
            getPrototypeOf() {
              throw new Error('prototype');
            },
          },
        ),
    ],
  ])('an error %s fails its batch and nothing else', async (_what, make) => {
    warnings();
    let broken = true;
    const { batcher } = bench({
      maxBatchSize: 1,
      retry: false,
      batchFlush: () => {
        if (broken) throw make();
      },
    });
    const stray = await strayErrors(async () => {
      expect(batcher.addItem(1)).toBe(true);
      const flushed = watch(batcher.flush());
      await settled();
      expect(flushed.error).toMatchObject({ name: 'FlushError' });
    });
    expect(stray).toEqual([]);
    broken = false;
    await batcher.flush();
    expect(batcher.state.pending).toBe(0);
  });
});

describe('wrong options', () => {
  const wrong: [string, unknown, RegExp][] = [
    ['maxBatchSize', 0, /positive whole number.*0/],
    ['maxBatchSize', -1, /positive whole number.*-1/],
    ['maxBatchSize', 1.5, /positive whole number.*1\.5/],
    ['maxBatchSize', NaN, /positive whole number.*NaN/],
    ['maxBatchSize', '10', /positive whole number.*"10".*string/],
    ['maxBatchWeight', 0, /positive number.*0/],
    ['weigh', 5, /function.*5/],
    ['maxTimeSinceFirstItem', 0, /milliseconds.*0/],
    ['maxTimeSinceFirstItem', '1s', /milliseconds.*"1s"/],
    ['maxTimeSinceLastFlush', -1, /milliseconds.*-1/],
    ['flushInterval', 0, /milliseconds.*0/],
    ['flushInterval', {}, /milliseconds.*object/],
    ['flushJitter', 1.1, /0 to 1.*1\.1/],
    ['flushJitter', -0.1, /0 to 1.*-0\.1/],
    ['flushConcurrency', 0, /positive whole number.*0/],
    ['flushTimeout', 0, /milliseconds.*0/],
    ['retry', 5, /object.*5/],
    ['retry', true, /object.*true/],
    ['retry', [], /object.*array/],
    ['giveUp', 'retry', /'hold', 'drop'.*"retry"/],
    ['highWaterMark', -5, /positive.*-5/],
    ['maxPending', 0, /positive whole number.*0/],
    ['overflow', 'block', /'wait', 'reject', 'dropNewest', 'dropOldest'.*"block"/],
    ['unref', 1, /true or false.*1/],
    ['clock', {}, /now, setTimer.*clearTimer.*object/],
    ['clock', () => 0, /now, setTimer.*clearTimer.*function/],
    ['batchInit', 'init', /function.*"init"/],
    ['batchAddItem', 1n, /function.*1 \(bigint\)/],
    ['batchPreFlush', {}, /function/],
    ['batchFlush', [], /function.*array/],
    ['batchPostFlush', true, /function.*true/],
    ['batchDeadLetter', 5, /function.*5/],
    ['batchTerminate', 5, /function.*5/],
    ['shouldFlush', true, /function.*true/],
  ];

  test.each(wrong)(
    '%s: %p throws OptionsError naming it, what was expected and what was given',
    (option, given, message) => {
      const make = (): unknown => bench({ [option]: given });
      expect(make).toThrow(OptionsError);
      expect(make).toThrow(errorWith({ code: 'ERR_BATCH_OPTIONS', option, given }));
      expect(make).toThrow(new RegExp(`${option}.*${message.source}`));
    },
  );

  test.each<[string, unknown]>([
    ['attempts', 0],
    ['attempts', 1.5],
    ['minDelay', -1],
    ['maxDelay', 'long'],
    ['factor', 0.5],
    ['factor', NaN],
    ['jitter', 0.5],
  ])('retry.%s: %p, a nested option, is named with its path', (option, given) => {
    expect(() => bench({ retry: { [option]: given } })).toThrow(
      errorWith({ name: 'OptionsError', option: `retry.${option}`, given }),
    );
  });

  test.each([
    ['maxBatchsize', {}],
    ['lazyFlush', {}],
    ['retry.delay', { retry: { delay: 5 } }],
  ])('%s: an unknown option throws OptionsError', (option, options) => {
    const given = option.includes('.') ? options : { [option]: 5 };
    expect(() => bench(given as NumberOptions)).toThrow(errorWith({ name: 'OptionsError', option }));
  });

  test('an unknown option: the message says what was given, too', () => {
    expect(() => bench({ maxBatchsize: 12_345 } as NumberOptions)).toThrow(/maxBatchsize.*12345/);
  });

  test('maxBatchWeight without weigh cannot work', () => {
    expect(() => bench({ maxBatchWeight: 10 })).toThrow(errorWith({ option: 'weigh' }));
  });

  test.each([null, 5, 'options', [], () => {}])('options: %p throws OptionsError', (options) => {
    expect(() => new MemoryBatcher(options as never)).toThrow(OptionsError);
  });

  test('the message names the class', () => {
    class MySink extends BatchPlease<number, number> {}
    expect(() => new MySink({ maxBatchSize: -1 })).toThrow(/^MySink: maxBatchSize/);
  });

  test.each(['syncAddItem', 'deliverItem'] as const)('%s: a signal that is none leaves the item out', async (verb) => {
    const { batcher } = bench({ maxBatchSize: 1 });
    await expect(batcher[verb](1, { signal: 5 as never })).rejects.toBeInstanceOf(OptionsError);
    expect(batcher.state.counts.totalItems).toBe(0);
  });
});

describe('strange items and batches', () => {
  test('undefined, null, NaN and functions are items like any other, through every verb', async () => {
    const seen: unknown[] = [];
    const make = (options: BatchPleaseOptions<unknown, { items: unknown[] }>) =>
      new MemoryBatcher<unknown>({ ...options, batchFlush: ({ items }) => void seen.push(...items) });
    const strange = [undefined, null, NaN, 0, '', false, () => {}, [], Promise.resolve(1), { then: 5 }];
    for (const batchAddItem of [
      null,
      async (batch: { items: unknown[] }, item: unknown) => void batch.items.push(item),
    ]) {
      seen.length = 0;
      const batcher = make({ batchAddItem });
      batcher.addItems(strange);
      for (const item of strange) batcher.addItem(item);
      await Promise.all(strange.map((item) => batcher.syncAddItem(item)));
      await batcher.flush();
      expect(seen).toEqual([...strange, ...strange, ...strange]);
      expectBalanced(batcher);
    }
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['0', 0],
    ['false', false],
    ['a frozen object', Object.freeze({ frozen: true })],
    ['an object with a then that is no function', { then: 5 }],
  ])('a batch state that is %s is kept and flushed', async (_what, state) => {
    class Any extends BatchPlease<number> {}
    const seen: unknown[] = [];
    const left: unknown[] = [];
    for (const batchInit of [() => state, async () => state]) {
      const batcher = new Any({
        maxBatchSize: 2,
        batchInit,
        batchAddItem: () => {},
        batchFlush: (batch) => void seen.push(batch),
        batchTerminate: (batch) => void left.push(batch),
      });
      batcher.addItems([1, 2, 3]);
      await batcher.flush();
      await batcher.close();
      expect(batcher.state.counts).toMatchObject({ flushes: 2, delivered: 3 });
    }
    expect(seen).toEqual([state, state, state, state]);
    expect(left).toEqual([undefined, undefined]);
  });

  test('a state that is like a promise is waited for, like a promise', async () => {
    class Any extends BatchPlease<number, { items: number[] }> {}
    const seen: unknown[] = [];
    const batcher = new Any({
      batchInit: () => ({ then: (resolve: (state: { items: number[] }) => void) => resolve({ items: [] }) }) as never,
      batchAddItem: (batch, item) => void batch.items.push(item),
      batchFlush: (batch) => void seen.push(batch),
    });
    batcher.addItems([1, 2]);
    await batcher.flush();
    expect(seen).toEqual([{ items: [1, 2] }]);
  });
});

describe('a lot', () => {
  test('A10: 200,000 flushes that wait: those whose time is up reject, the others wait on, and it still closes', async () => {
    const flush = sink();
    const { batcher, clock } = bench({ batchFlush: flush });
    batcher.addItem(1);
    let late = 0;
    const count = (): number => late++;
    for (let i = 0; i < 10_000; i++) batcher.flush({ timeout: 10 }).catch(count);
    const waiting = Array.from({ length: 190_000 }, () => batcher.flush({ timeout: 1000 }));
    await clock.advance(10);
    expect(late).toBe(10_000);
    flush.openAll();
    await Promise.all(waiting);
    await batcher.close();
  });

  test('a million items in one turn: 1,000,000 = 1000 × 1000 (size), nothing lost, in order', async () => {
    let next = 0;
    let batches = 0;
    const batcher = new MemoryBatcher<number>({
      maxBatchSize: 1000,
      batchFlush: async ({ items }) => {
        batches++;
        for (const item of items) if (item !== next++) throw new Error(`${item} is out of order`);
      },
    });
    for (let item = 0; item < 1_000_000; item++) batcher.addItem(item);
    await batcher.flush();
    expect([batches, next]).toEqual([1000, 1_000_000]);
    expect(batcher.state.counts.delivered).toBe(1_000_000);
  });

  test('a million through addItems into a sink that answers at once', () => {
    let sum = 0;
    const { batcher } = bench({ maxBatchSize: 7, batchFlush: ({ items }) => void (sum += items.length) });
    batcher.addItems({
      *[Symbol.iterator]() {
        for (let item = 0; item < 1_000_000; item++) yield item;
      },
    });
    expect(sum).toBe(999_999);
    expect(batcher.state.pending).toBe(1);
  });

  test('A7: 100,000 sealed batches of one behind a retry: no stack overflow, all in order', async () => {
    let failed = false;
    let next = 0;
    const { clock, batcher } = bench({
      maxBatchSize: 1,
      batchFlush: ({ items }) => {
        if (!failed) {
          failed = true;
          throw new Error('once');
        }
        if (items[0] !== next++) throw new Error('out of order');
      },
    });
    batcher.on('failed', () => {});
    for (let item = 0; item < 100_000; item++) batcher.addItem(item);
    await clock.advance(100);
    expect(batcher.state.counts.delivered).toBe(100_000);
    expect(clock.pendingTimers).toBe(0);
  });

  test('100,000 who wait for room behind a slow first batch: no stack overflow', async () => {
    const first = sink();
    let calls = 0;
    const { batcher } = bench({
      maxBatchSize: 1,
      maxPending: 1,
      batchFlush: (batch, context) => (calls++ === 0 ? first(batch, context) : undefined),
    });
    const stray = await strayErrors(async () => {
      const delivered = Array.from({ length: 100_000 }, (_, item) => watch(batcher.deliverItem(item)));
      first.open();
      for (let i = 0; i < 10; i++) await settled();
      expect(delivered.filter(({ state }) => state === 'resolved')).toHaveLength(100_000);
    });
    expect(stray).toEqual([]);
  });

  test('A3: flush() called 10,000 times resolves 10,000 times and flushes once', async () => {
    const flush = sink();
    const { batcher } = bench({ batchFlush: flush });
    batcher.addItem(1);
    const flushes = Array.from({ length: 10_000 }, () => watch(batcher.flush()));
    flush.open();
    await settled();
    expect(flushes.every(({ state }) => state === 'resolved')).toBe(true);
    expect(flush.calls).toHaveLength(1);
  });

  test('A5: a producer that outruns the sink is bounded by maxPending: 200,000 items, 100 pending', async () => {
    const { batcher } = bench({ maxBatchSize: 10, maxPending: 100, batchFlush: () => Promise.resolve() });
    let most = 0;
    const random7 = random(7);
    for (let item = 0; item < 200_000; item++) {
      await batcher.syncAddItem(item);
      if (random7.chance(0.01)) most = Math.max(most, batcher.state.pending);
    }
    await batcher.flush();
    expect(most).toBeLessThanOrEqual(100);
    expect(batcher.state.counts).toMatchObject({ delivered: 200_000, refused: 0, dropped: 0 });
    expectBalanced(batcher);
  });

  test('no listener stays on a signal that is used again and again', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const { batcher } = bench({
      maxBatchSize: 10,
      maxPending: 20,
      batchFlush: () => Promise.resolve(),
      batchAddItem: async (batch, item) => {
        if (item % 11 === 0) throw new Error('no');
        batch.items.push(item);
      },
    });
    batcher.on('refused', () => {});
    const all = Promise.allSettled([
      ...Array.from({ length: 500 }, (_, item) => batcher.syncAddItem(item, { signal })),
      ...Array.from({ length: 500 }, (_, item) => batcher.deliverItem(item, { signal })),
      batcher.flush({ signal }),
    ]);
    while (batcher.state.counts.totalItems < 1000) await settled();
    await batcher.flush({ signal });
    await all;
    await settled();
    expect(listeners).toBe(0);
  });

  test('an aborted signal leaves all items out, and costs no listener', async () => {
    const { batcher } = bench({ maxPending: 1 });
    const signal = AbortSignal.abort();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, item) =>
        item % 2 ? batcher.syncAddItem(item, { signal }) : batcher.deliverItem(item, { signal }),
      ),
    );
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(batcher.state.counts.totalItems).toBe(0);
    await expect(batcher.flush({ signal })).rejects.toBe(signal.reason);
  });
});

test('A8: adds after close, of each kind, by the thousand', async () => {
  const seen = warnings();
  const { batcher, batches } = bench({ maxBatchSize: 1, maxPending: 3 });
  const stray = await strayErrors(async () => {
    await batcher.close();
    for (let item = 0; item < 1000; item++) {
      expect(batcher.addItem(item)).toBe(false);
      void batcher.syncAddItem(item);
      await expect(batcher.deliverItem(item)).rejects.toBeInstanceOf(ClosedError);
    }
  });
  expect(stray).toEqual([]);
  expect(batches).toEqual([]);
  expect(seen).toHaveLength(1);
  expectBalanced(batcher);
});

test('A3, A7: a random life: no item is lost, repeated or out of order, whatever fails', async () => {
  warnings();
  for (let seed = 1; seed <= 40; seed++) {
    const rng = random(seed);
    const delivered: number[] = [];
    const { clock, batcher } = bench({
      maxBatchSize: 1 + rng.int(5),
      maxTimeSinceFirstItem: rng.chance(0.5) ? 1 + rng.int(50) : null,
      flushInterval: rng.chance(0.3) ? 1 + rng.int(50) : null,
      flushTimeout: 40,
      retry: { minDelay: 5 },
      batchAddItem: (batch, item) => {
        batch.items.push(item);
        return rng.chance(0.5) ? undefined : Promise.resolve();
      },
      batchFlush: async ({ items }: Numbers) => {
        if (rng.chance(0.3)) throw new Error('sink');
        if (rng.chance(0.1)) await new Promise(() => {});
        delivered.push(...items);
      },
    });
    let accepted = 0;
    for (let step = 0; step < 100; step++) {
      for (let n = rng.int(4); n > 0; n--) batcher.addItem(accepted++);
      if (rng.chance(0.2)) void batcher.flush({ timeout: rng.int(100) });
      if (rng.chance(0.5)) await clock.advance(rng.int(30));
    }
    const closed = watch(batcher.close({ timeout: 1e6 }));
    await clock.advance(1e6);
    expect([seed, closed.state]).toEqual([seed, 'resolved']);
    expect([seed, delivered]).toEqual([seed, Array.from({ length: accepted }, (_, i) => i)]);
    expectBalanced(batcher);
    expect(clock.pendingTimers).toBe(0);
  }
});

test('A2: concurrent closes and flushes with a sink that hangs all settle', async () => {
  const flush = sink();
  const { clock, batcher } = bench({ maxBatchSize: 1, batchFlush: flush });
  batcher.addItems([1, 2, 3]);
  const outcomes = [
    batcher.flush(),
    batcher.flush({ timeout: 5 }),
    batcher.close({ timeout: 10 }),
    batcher.close(),
    batcher.flush(),
  ].map(watch);
  await clock.advance(10);
  expect(outcomes.map(({ state }) => state)).toEqual(Array(5).fill('rejected'));
  expect(flushedBy(flush)).toEqual([[1]]);
  expect(clock.pendingTimers).toBe(0);
});
