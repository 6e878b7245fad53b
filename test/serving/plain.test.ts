import { BatchServing, ClosedError, TimeoutError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';

type Outcome = { ok: true; value: number } | { ok: false; error: unknown };

/** Calls of one value: without options, with them, and in a list. */
const KINDS = {
  plain: (serving: BatchServing<number, number>, value: number) => serving.tryDispatch(value),
  timed: (serving: BatchServing<number, number>, value: number) => serving.tryDispatch(value, { timeout: 1000 }),
  list: async (serving: BatchServing<number, number>, value: number): Promise<Outcome> => {
    const outcome = await serving.tryDispatchMany([value]);
    return outcome.ok ? { ok: true, value: outcome.value[0] ?? NaN } : outcome;
  },
};
const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
const orders = kinds.flatMap((a) => kinds.flatMap((b) => kinds.map((c) => [a, b, c] as const)));

describe('callers with and without options share a batch', () => {
  test.each(orders)('%s, %s, %s: each gets its own result', async (...order) => {
    const serving = new BatchServing({
      batchSize: 3,
      handleBatch: (values: readonly number[]) => values.map((v) => -v),
    });
    const calls = order.map((kind, i) => KINDS[kind](serving, i + 1));
    expect(await Promise.all(calls)).toEqual([1, 2, 3].map((v) => ({ ok: true, value: -v })));
    expect(serving.state.counts).toMatchObject({ calls: 3, values: 3, batches: 1, delivered: 3, failed: 0 });
  });

  test.each(orders)(
    '%s, %s, %s: an Error slot rejects its own caller, 3 = 2 delivered + 1 failed',
    async (...order) => {
      const bad = new Error('slot 2');
      const serving = new BatchServing({
        batchSize: 3,
        handleBatch: (values: readonly number[]) => values.map((v) => (v === 2 ? bad : v)),
      });
      const calls = order.map((kind, i) => KINDS[kind](serving, i + 1));
      expect(await Promise.all(calls)).toEqual([
        { ok: true, value: 1 },
        { ok: false, error: bad },
        { ok: true, value: 3 },
      ]);
      expect(serving.state.counts).toMatchObject({ delivered: 2, failed: 1 });
      expect(serving.state.pending).toBe(0);
    },
  );

  test.each(orders)('%s, %s, %s: a handler that throws fails all of them', async (...order) => {
    const error = new Error('down');
    const serving = new BatchServing<number, number>({
      batchSize: 3,
      handleBatch: () => {
        throw error;
      },
    });
    const calls = order.map((kind, i) => KINDS[kind](serving, i + 1));
    expect(await Promise.all(calls)).toEqual([1, 2, 3].map(() => ({ ok: false, error })));
    expect(serving.state.counts).toMatchObject({ delivered: 0, failed: 3 });
  });

  test.each(orders)(
    'from its second batch on, a serving gave callers the results of others: %s, %s, %s get −1, −2, −3',
    async (...order) => {
      const serving = new BatchServing({
        batchSize: 3,
        handleBatch: (values: readonly number[]) => values.map((v) => -v),
      });
      await Promise.all([7, 8, 9].map((v) => serving.dispatch(v)));
      const calls = order.map((kind, i) => KINDS[kind](serving, i + 1));
      expect(await Promise.all(calls)).toEqual([1, 2, 3].map((v) => ({ ok: true, value: -v })));
      expect(serving.state.counts).toMatchObject({ calls: 6, values: 6, delivered: 6, failed: 0 });
      expect(serving.state.pending).toBe(0);
    },
  );

  test('one that leaves takes no other with it: 1, 2 (left), 3', async () => {
    const clock = new TestClock();
    const serving = new BatchServing({
      clock,
      batchTimeout: 50,
      batchSize: 10,
      handleBatch: (values: readonly number[]) => [...values],
    });
    const calls = [1, 2, 3].map((v) => serving.tryDispatch(v, v === 2 ? { timeout: 10 } : undefined));
    await clock.advance(50);
    expect(await Promise.all(calls)).toMatchObject([{ ok: true, value: 1 }, { ok: false }, { ok: true, value: 3 }]);
    expect(serving.state.counts).toMatchObject({ delivered: 2, aborted: 1 });
  });
});

test('callers without options: executed counts each call, retry repeats all, hooks reach none of them', async () => {
  const clock = new TestClock();
  let attempts = 0;
  const serving = new BatchServing<number, number, undefined, 'progress'>({
    clock,
    batchSize: 3,
    hooks: ['progress'],
    retry: { attempts: 2, minDelay: 10, jitter: false },
    handleBatch: (values, context) => {
      context.hooks.progress.each(values);
      context.hooks.progress.all('half');
      if (++attempts === 1) throw new Error('first attempt');
      return [...values];
    },
  });
  const seen: unknown[] = [];
  serving.on('failed', ({ calls, attempt }) => seen.push(['failed', calls, attempt]));
  serving.on('executed', ({ calls, attempt }) => seen.push(['executed', calls, attempt]));
  const calls = [1, 2, 3].map((v) => serving.dispatch(v));
  await clock.advance(10);
  expect(await Promise.all(calls)).toEqual([1, 2, 3]);
  expect(seen).toEqual([
    ['failed', 3, 1],
    ['executed', 3, 2],
  ]);
});

test.each(['drain', 'reject'] as const)(
  'callers without options, queued at a close with %s, get ClosedError',
  async (pending) => {
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ clock, batchSize: 2, handleBatch: handle });
    const calls = [1, 2, 3, 4, 5].map((v) => serving.tryDispatch(v));
    const closed = serving.close({ pending, timeout: 20 }).catch((error: unknown) => error);
    await clock.advance(20);
    await closed;
    for (const outcome of await Promise.all(calls.slice(2))) {
      expect(outcome).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
    }
  },
);

test('a caller that dispatches again within the handler, and one whose handler answers at once, get their own results', async () => {
  let inner: Promise<number> | undefined;
  const serving: BatchServing<number, number> = new BatchServing<number, number>({
    batchSize: 1,
    partitions: 2,
    handleBatch: ([value = 0]) => {
      if (value === 1) inner = serving.dispatch(10);
      return [value + 1];
    },
  });
  expect(await serving.dispatch(1)).toBe(2);
  expect(await inner).toBe(11);
});

describe('20,000 callers blocked the event loop for 35 s when they timed out together', () => {
  test('they leave in portions: every one of at most 1000 sets the timer for the next', async () => {
    const clock = new TestClock();
    const serving = new BatchServing<number, never>({ clock, handleBatch: () => new Promise(() => undefined) });
    let left = 0;
    for (let i = 0; i < 20_000; i++) serving.dispatch(i, { timeout: 200 }).catch(() => left++);
    await settled();
    const setTimer = clock.setTimer.bind(clock);
    let [before, most] = [0, 0];
    clock.setTimer = (fn, ms) => {
      [most, before] = [Math.max(most, left - before), left];
      return setTimer(fn, ms);
    };
    await clock.advance(200);
    most = Math.max(most, left - before);
    expect(left).toBe(20_000);
    expect(most).toBeLessThanOrEqual(2000); // the last two portions are seen as one
    expect([serving.state.pending, clock.pendingTimers]).toEqual([1, 0]);
  });

  test('each gets an error of its own, so that what one writes on it no other reads', async () => {
    const clock = new TestClock();
    const serving = new BatchServing<number, never>({ clock, handleBatch: () => new Promise(() => undefined) });
    const calls = [1, 2, 3].map((v) => serving.dispatch(v, { timeout: 200 }).catch((error: unknown) => error));
    await clock.advance(200);
    const errors = await Promise.all(calls);
    expect(new Set(errors).size).toBe(3);
    for (const error of errors) expect(error).toBeInstanceOf(TimeoutError);
  });

  test('one signal of 20,000 callers has one listener, which the last of them takes along', async () => {
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ batchSize: 2, handleBatch: handle });
    const { signal } = new AbortController();
    const add = jest.spyOn(signal, 'addEventListener');
    const remove = jest.spyOn(signal, 'removeEventListener');
    const calls = [1, 2, 3, 4].map((v) => serving.dispatch(v, { signal }));
    handle.open([1, 2]);
    await Promise.all(calls.slice(0, 2));
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 0]);
    handle.open([3, 4]);
    await Promise.all(calls);
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([1, 1]);
  });
});
