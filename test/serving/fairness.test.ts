import { AsyncLocalStorage } from 'node:async_hooks';
import { BatchServing, ItemError, OptionsError, OverflowError, ResultCountError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';
import { cost } from '../support/cost.js';

const same = (values: readonly number[]): number[] => [...values];

/** A clock that runs ahead at each look, as a busy machine's does. */
function hasty(step: number) {
  let now = 0;
  return {
    now: () => (now += step),
    setTimer: (fn: () => void, ms: number) => setTimeout(fn, ms),
    clearTimer: (handle: unknown) => {
      clearTimeout(handle as NodeJS.Timeout);
    },
  };
}

describe('a call that stays whole was split when time passed while it entered', () => {
  test.each([{ keepCallsWhole: true }, { hooks: ['progress'] }])('%j', async (options) => {
    const sizes: number[] = [];
    const serving = new BatchServing<number, number>({
      ...(options as object),
      batchSize: 10,
      batchTimeout: 1,
      clock: hasty(1.2),
      handleBatch: (values) => {
        sizes.push(values.length);
        return values;
      },
    });
    await serving.dispatchMany([1, 2, 3]);
    expect(sizes).toEqual([3]);
  });

  test('with weights, whose function lets time pass and calls the serving', async () => {
    const clock = new TestClock();
    const batches: number[][] = [];
    let nested: Promise<number> | undefined;
    const serving: BatchServing<number, number> = new BatchServing<number, number>({
      clock,
      keepCallsWhole: true,
      batchSize: 4,
      maxBatchWeight: 10,
      weigh: (value: number) => {
        if (value === 2) nested ??= serving.dispatch(9);
        return 1;
      },
      handleBatch: (values) => {
        batches.push([...values]);
        return values;
      },
    });
    const call = serving.dispatchMany([1, 2, 3]);
    await clock.advance(100);
    expect([await call, await nested]).toEqual([[1, 2, 3], 9]);
    expect(batches).toEqual([[9, 1, 2, 3]]);
  });
});

describe.each(['reject', 'dropNewest'] as const)('a stream locked callers out with overflow: %s', (overflow) => {
  const limits = { batchSize: 5, batchTimeout: 5, maxPending: 10, overflow };

  test.each([1, 2])('%i streams over sources that never pause', async (streams) => {
    const handle = gate<[readonly number[]], number[]>();
    const clock = new TestClock();
    let run = true;
    const serving = new BatchServing<number, number>({
      ...limits,
      clock,
      handleBatch: (values) => handle(values).then(() => [...values]),
    });
    async function* source(): AsyncGenerator<number> {
      while (run) yield 1;
    }
    const events: string[] = [];
    const readers = Array.from({ length: streams }, async () => {
      for await (const event of serving.stream(source())) events.push(event.type);
    });
    const outcomes: boolean[] = [];
    for (let i = 0; i < 20; i++) {
      await settled();
      const call = serving.tryDispatch(2);
      await clock.advance(5);
      if (handle.waiting > 0) handle.open([]);
      await settled();
      if (handle.waiting > 0) handle.open([]);
      outcomes.push((await call).ok);
    }
    run = false;
    handle.openAll([]);
    await settled();
    await serving.close();
    await Promise.all(readers);
    expect(outcomes.filter((ok) => !ok)).toEqual([]);
  });

  test('30 streams: a place in their half of the room was given to all that waited for it', async () => {
    const clock = new TestClock();
    let run = true;
    const serving = new BatchServing<number, number>({
      ...limits,
      clock,
      handleBatch: (values) => settled().then(() => [...values]),
    });
    async function* source(): AsyncGenerator<number> {
      while (run) yield 1;
    }
    const results = new Array<number>(30).fill(0);
    const readers = Promise.allSettled(
      results.map(async (_, i) => {
        for await (const event of serving.stream(source())) results[i] = (results[i] ?? 0) + event.output.length;
      }),
    );
    const calls: Promise<{ ok: boolean }>[] = [];
    for (let i = 0; i < 40; i++) {
      await clock.advance(5);
      await settled();
      calls.push(serving.tryDispatch(2));
    }
    run = false;
    const left = serving.close();
    await clock.advance(1000);
    await left;
    await readers;
    expect((await Promise.all(calls)).filter(({ ok }) => !ok)).toEqual([]);
    expect(Math.max(...results) - Math.min(...results)).toBeLessThanOrEqual(1);
  });
});

test('callers do not lock a stream out either: with room for one, both go on', async () => {
  const serving = new BatchServing({
    batchTimeout: 0,
    maxPending: 1,
    handleBatch: async (values: readonly number[]) => values,
  });
  async function* source(): AsyncGenerator<number> {
    for (let i = 0; i < 20; i++) yield i;
  }
  const calls = Promise.all(Array.from({ length: 50 }, (_, i) => serving.dispatch(i)));
  expect(await serving.dispatchMany(source())).toHaveLength(20);
  expect(await calls).toHaveLength(50);
});

test('room is first come, first served, between lists and pulled values', async () => {
  const handle = gate<[readonly string[]], string[]>();
  const serving = new BatchServing<string, string>({ maxPending: 1, handleBatch: handle });
  async function* source(): AsyncGenerator<string> {
    yield 'pulled';
  }
  const calls = [serving.dispatch('first'), serving.dispatchMany(source())];
  await settled();
  calls.push(serving.dispatch('last'));
  for (let i = 0; i < 3; i++) {
    handle.open(['']);
    await settled();
  }
  await Promise.all(calls);
  expect(handle.calls.map(([[value]]) => value)).toEqual(['first', 'pulled', 'last']);
});

describe("mapResults ran in a stranger's async context", () => {
  const tenant = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const serving = (): BatchServing<string, string> =>
    new BatchServing({
      batchSize: 2,
      handleBatch: async (values: readonly string[]) => values,
      mapResults: (results: readonly string[]) => {
        seen.push(...results.map((result) => `${result} in ${String(tenant.getStore())}`));
        return results;
      },
    });
  beforeEach(() => seen.splice(0));

  test.each<[string, (own: BatchServing<string, string>, value: string) => Promise<unknown>]>([
    ['dispatch', (own, value) => own.dispatch(value)],
    ['dispatchMany', (own, value) => own.dispatchMany([value])],
    ['settleMany', (own, value) => own.settleMany([value])],
    ['inline', (own, value) => own.inline(value)],
    [
      'stream',
      async (own, value) => {
        for await (const event of own.stream([value, value, value])) expect(event.type).toBe('batch');
      },
    ],
  ])('%s', async (_name, call) => {
    const own = serving();
    await Promise.all(['A', 'B'].map((value) => tenant.run(value, () => call(own, value))));
    await own.close();
    expect(seen.length).toBeGreaterThan(1);
    for (const line of seen) expect(line).toMatch(/^(.) in \1$/);
  });
});

describe('settleMany', () => {
  const clock = new TestClock();
  const handleBatch = (values: readonly number[]): (number | Error)[] => {
    if (values.includes(5)) throw new Error('batch');
    return values.map((value) => (value < 0 ? new Error('slot') : value * 2));
  };
  const good = (value: number) => ({ status: 'fulfilled', value });
  const bad = (message: string) => ({ status: 'rejected', reason: expect.objectContaining({ message }) as unknown });

  test('each value has its own outcome, in order, over several batches', async () => {
    const serving = new BatchServing({ clock, batchSize: 2, handleBatch });
    const outcomes = serving.settleMany([1, -2, 3, 4, 5, 6, 7, 8]);
    expect(await outcomes).toEqual([
      good(2),
      bad('slot'),
      good(6),
      good(8),
      bad('batch'),
      bad('batch'),
      good(14),
      good(16),
    ]);
    const { delivered, failed } = serving.state.counts;
    expect([delivered, failed, serving.state.pending]).toEqual([5, 3, 0]);
  });

  test('a failing weigh refuses its value alone', async () => {
    const weigh = (value: number): number => {
      if (value === 2) throw new Error('no weight');
      return value;
    };
    const serving = new BatchServing({ batchTimeout: 0, batchSize: 9, maxBatchWeight: 9, weigh, handleBatch });
    const [one, two, three] = await serving.settleMany([1, 2, 3]);
    expect([one, three]).toEqual([good(2), good(6)]);
    expect((two as PromiseRejectedResult).reason).toBeInstanceOf(ItemError);
    expect(await serving.settleMany([2])).toMatchObject([{ status: 'rejected' }]);
    await expect(serving.dispatchMany([1, 2])).rejects.toBeInstanceOf(ItemError);
  });

  test('an empty list, an async iterable, and mapResults of what succeeded', async () => {
    const mapResults = (results: readonly number[]): string[] => results.map((result) => `r${String(result)}`);
    const serving = new BatchServing({ batchTimeout: 0, batchSize: 4, handleBatch, mapResults });
    async function* source(): AsyncGenerator<number> {
      yield* [1, -1, 3];
    }
    expect(await serving.settleMany([])).toEqual([]);
    expect(await serving.settleMany(source())).toEqual([
      { status: 'fulfilled', value: 'r2' },
      bad('slot'),
      { status: 'fulfilled', value: 'r6' },
    ]);
  });

  test('the call as a whole is refused, aborted or closed as dispatchMany is', async () => {
    const serving = new BatchServing<number, number>({
      batchSize: 9,
      batchTimeout: Infinity,
      maxPending: 2,
      overflow: 'reject',
      handleBatch: same,
    });
    await expect(serving.settleMany([1, 2, 3])).rejects.toBeInstanceOf(OverflowError);
    await expect(serving.settleMany([1], { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone');
    await expect(serving.settleMany([1], { nonsense: 1 } as never)).rejects.toBeInstanceOf(OptionsError);
    const call = serving.settleMany([1, 2]);
    await serving.close({ pending: 'reject' });
    expect(await call).toMatchObject([{ reason: { name: 'ClosedError' } }, { reason: { name: 'ClosedError' } }]);
  });
});

describe('flush', () => {
  test('cuts the open batch now, and resolves when all that was accepted before is settled', async () => {
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({
      clock: new TestClock(),
      batchSize: 10,
      batchTimeout: Infinity,
      handleBatch: handle,
    });
    const order: string[] = [];
    const first = serving.dispatch(1);
    const flushed = serving.flush().then(() => order.push('flushed'));
    const second = serving.dispatch(2);
    void serving.flush().then(() => order.push('flushed again'));
    await settled();
    expect([handle.calls.length, order]).toEqual([1, []]);
    handle.fail(new Error('down'));
    await expect(first).rejects.toThrow('down');
    await flushed;
    expect(order).toEqual(['flushed']);
    await settled();
    handle.open([20]);
    expect(await second).toBe(20);
    await settled();
    expect(order).toEqual(['flushed', 'flushed again']);
  });

  test('with nothing pending it resolves; values that leave do not hold it', async () => {
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ clock, batchSize: 1, handleBatch: handle });
    await serving.flush();
    const running = serving.dispatch(1);
    const leaves = serving.tryDispatch(2, { timeout: 5 });
    const flushed = serving.flush();
    await clock.advance(5);
    expect((await leaves).ok).toBe(false);
    handle.open([1]);
    expect(await running).toBe(1);
    await flushed;
  });
});

describe('partitions: Infinity', () => {
  test('as many as are used, and idle ones again', async () => {
    const handle = gate<[readonly number[], { partition: number }], number[]>();
    const inits: number[] = [];
    const serving = new BatchServing<number, number>({
      partitions: Infinity,
      init: ({ partition }) => void inits.push(partition),
      handleBatch: handle,
    });
    const calls = [1, 2, 3].map((value) => serving.dispatch(value));
    await settled();
    expect([serving.state.running, handle.calls.map(([, { partition }]) => partition)]).toEqual([3, [0, 1, 2]]);
    for (let i = 0; i < 3; i++) handle.open([i]);
    await Promise.all(calls);
    handle.openAll([7]);
    await serving.dispatch(4);
    expect([handle.calls.length, inits]).toEqual([4, [0, 1, 2]]);
  });

  test('A10: a million partitions cost no more than one', async () => {
    const of = (partitions: number) => async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await new BatchServing({ partitions, handleBatch: same }).dispatch(1);
    };
    await of(1)();
    const one = await cost(of(1));
    expect(await cost(of(1_000_000))).toBeLessThan(20 * one + 500);
  });

  test('an async iterable is pulled with a bound', async () => {
    const serving = new BatchServing<number, never>({
      partitions: Infinity,
      batchSize: 10,
      handleBatch: () => new Promise(() => undefined),
    });
    let pulled = 0;
    async function* source(): AsyncGenerator<number> {
      for (;;) yield pulled++;
    }
    const leaving = new AbortController();
    const call = serving.tryDispatchMany(source(), { signal: leaving.signal });
    await new Promise((resolve) => setTimeout(resolve, 50)); // real time: the source answers at once
    leaving.abort();
    await call;
    expect(pulled).toBeLessThanOrEqual(65_537);
  });
});

test('an iterator that answers with no object was pulled for ever: it fails as for await does', async () => {
  const serving = new BatchServing({ handleBatch: same });
  const source = { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(5) }) };
  await expect(serving.dispatchMany(source as never)).rejects.toBeInstanceOf(TypeError);
});

test('a string was dispatched letter by letter: it is refused', async () => {
  const serving = new BatchServing({ handleBatch: (values: readonly string[]) => values });
  // @ts-expect-error a string is no list of values
  await expect(serving.dispatchMany('hello')).rejects.toBeInstanceOf(OptionsError);
  // @ts-expect-error a string is no list of values
  await expect(serving.inlineMany('hello')).rejects.toBeInstanceOf(OptionsError);
  // @ts-expect-error a string is no list of values
  await expect(serving.stream('hello').next()).rejects.toBeInstanceOf(OptionsError);
});

test('promises in slots were handed out, and counted as delivered: they are awaited, each for its value', async () => {
  const handleBatch = (values: readonly number[]): Promise<number>[] =>
    values.map(async (value) => {
      if (value < 0) throw new Error('negative');
      return value * 2;
    });
  const serving = new BatchServing<number, number>({
    batchSize: 2,
    batchTimeout: 0,
    handleBatch: handleBatch as never,
  });
  expect(await serving.dispatchMany([1, 2])).toEqual([2, 4]);
  expect(await serving.inlineMany([1, 2])).toEqual([2, 4]);
  expect(await serving.settleMany([1, -1])).toMatchObject([{ value: 2 }, { reason: { message: 'negative' } }]);
  const events = [];
  for await (const event of serving.stream([3])) events.push(event);
  expect(events).toEqual([{ type: 'batch', output: [6] }]);
  expect(serving.state.counts).toMatchObject({ delivered: 4, failed: 1 });
});

test('mapInputs that makes two values for a dispatch was reported as mapResults', async () => {
  const serving = new BatchServing<number, number>({
    handleBatch: same,
    mapInputs: (values: readonly number[]) => [...values, ...values],
  } as never);
  await expect(serving.dispatch(1)).rejects.toThrow(/mapInputs/);
  await expect(serving.dispatch(1)).rejects.toBeInstanceOf(ResultCountError);
});

test('unread hook events of a stream had no bound: the oldest of more than 10,000 are dropped', async () => {
  const serving = new BatchServing({
    hooks: ['progress'],
    handleBatch: (values: readonly number[], { hooks }) => {
      for (let i = 0; i < 10_500; i++) hooks.progress.all(i);
      return values;
    },
  });
  const stream = serving.stream([1]);
  await settled();
  const payloads: unknown[] = [];
  for await (const event of stream) payloads.push(event.type === 'batch' ? 'batch' : event.payload);
  expect([payloads.length, payloads[0], payloads.at(-2), payloads.at(-1)]).toEqual([10_001, 500, 10_499, 'batch']);
});

describe('a throw at the end of the turn lost the caller for ever', () => {
  const { setImmediate } = globalThis;
  afterEach(() => {
    globalThis.setImmediate = setImmediate;
  });

  test('without setImmediate a timer is used', async () => {
    globalThis.setImmediate = null as never;
    const serving = new BatchServing({ batchSize: 10, batchTimeout: 0, handleBatch: same });
    expect(await serving.dispatch(1)).toBe(1);
    await serving.close();
  });

  test.each([0, 5])('a clock whose setTimer throws, batchTimeout %i: the call is answered', async (batchTimeout) => {
    const clock = {
      now: () => performance.now(),
      setTimer: () => {
        throw new Error('no timers');
      },
      clearTimer: () => undefined,
    };
    const serving = new BatchServing({ clock, batchSize: 10, batchTimeout, handleBatch: same });
    const outcome = await serving.tryDispatch(1);
    expect(outcome.ok || outcome.error).toBeTruthy();
    await Promise.allSettled([serving.close({ timeout: 100 })]);
    expect(serving.state.pending).toBe(0);
  });
});
