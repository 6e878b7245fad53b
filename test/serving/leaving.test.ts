import { BatchServing, ClosedError, TimeoutError, type ServingContext } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';
import { cost, expectLinear } from '../support/cost.js';

const never = (): Promise<never[]> => new Promise(() => undefined);
const same = (values: readonly number[]): number[] => [...values];
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('A10: leaving was quadratic in the batches that queue', () => {
  test('a mass timeout behind a stalled backend settles all callers', async () => {
    await expectLinear(async (count) => {
      const clock = new TestClock();
      const serving = new BatchServing<number, never>({ clock, handleBatch: never });
      const calls = upTo(count).map((i) => serving.tryDispatch(i, { timeout: 100 + (i % 50) }));
      await clock.advance(150);
      const outcomes = await Promise.all(calls);
      expect(outcomes.every((outcome) => !outcome.ok && outcome.error instanceof TimeoutError)).toBe(true);
      // The value that runs is pending until the handler answers.
      expect([serving.state.pending, serving.state.counts.aborted, clock.pendingTimers]).toEqual([1, count - 1, 0]);
    }, 2000);
  });

  test('one Error slot in the first batch of a long list', async () => {
    const handleBatch = (values: readonly number[]): (number | Error)[] =>
      values.map((value) => (value === 0 ? new Error('slot') : value));
    await expectLinear(async (count) => {
      const serving = new BatchServing({
        batchSize: 4,
        handleBatch: async (values: readonly number[]) => handleBatch(values),
      });
      expect(await serving.tryDispatchMany(upTo(count))).toMatchObject({ ok: false, error: { message: 'slot' } });
    }, 20_000);
  });

  test('an abort of one signal that all share', async () => {
    await expectLinear(async (count) => {
      const serving = new BatchServing<number, never>({ handleBatch: never });
      const controller = new AbortController();
      const calls = upTo(count).map((i) => serving.tryDispatch(i, { signal: controller.signal }));
      controller.abort(new Error('gone'));
      for (const outcome of await Promise.all(calls)) expect(outcome.ok).toBe(false);
    }, 2000);
  });

  test("close({ pending: 'reject' })", async () => {
    await expectLinear(async (count) => {
      const serving = new BatchServing<number, never>({ clock: new TestClock(), batchSize: 2, handleBatch: never });
      const calls = upTo(count).map((i) => serving.tryDispatch(i));
      void serving.close({ pending: 'reject' });
      await settled();
      const waiting = calls.slice(2);
      for (const outcome of await Promise.all(waiting)) {
        expect(outcome).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
      }
    }, 2000);
  });

  test('a call whose tens of thousands of batches all run', async () => {
    await expectLinear(async (count) => {
      const serving = new BatchServing<number, never>({ partitions: Infinity, handleBatch: never });
      const controller = new AbortController();
      const call = serving.tryDispatchMany(upTo(count), { signal: controller.signal });
      controller.abort(new Error('gone'));
      expect(await call).toMatchObject({ ok: false, error: { message: 'gone' } });
    }, 30_000);
  });

  test("'dropOldest': callers of one batch that make room, one after the other", async () => {
    await expectLinear((count) => {
      const clock = new TestClock();
      const options = { clock, maxPending: count, overflow: 'dropOldest', handleBatch: never } as const;
      const serving = new BatchServing<number, never>({ ...options, batchSize: 2 * count, batchTimeout: 0 });
      for (let i = 0; i < 2 * count; i++) void serving.tryDispatch(i);
      expect(serving.state).toMatchObject({ pending: count, counts: { failed: count } });
    }, 8000);
  });

  test("'dropOldest': a call of many batches, the first of which runs, is looked at once", async () => {
    const count = 17_200;
    const queue = (): BatchServing<number, never> => {
      const serving = new BatchServing<number, never>({
        maxPending: count,
        overflow: 'dropOldest',
        handleBatch: never,
      });
      void serving.tryDispatchMany(upTo(count));
      return serving;
    };
    queue();
    const queued = await cost(queue);
    const looked = await cost(() => {
      const serving = queue();
      void serving.tryDispatch(0);
      expect(serving.state).toMatchObject({ pending: count, counts: { failed: 0 } });
    });
    // It was more than 100 times the cost of queueing.
    expect(looked).toBeLessThan(20 * queued);
  });

  test('callers that wait for room', async () => {
    await expectLinear(async (count) => {
      const clock = new TestClock();
      const serving = new BatchServing<number, never>({ clock, maxPending: 1, handleBatch: never });
      const calls = upTo(count).map((i) => serving.tryDispatch(i, { timeout: 1 + (i % 7) }));
      await clock.advance(10);
      for (const outcome of await Promise.all(calls)) expect(outcome.ok).toBe(false);
    }, 1000);
  });
});

test('values that have left hold no place in the queue of a stalled backend', async () => {
  const clock = new TestClock();
  const handle = gate<[readonly number[]], number[]>();
  const serving = new BatchServing<number, number>({ clock, handleBatch: handle });
  const first = serving.dispatch(0);
  const left = upTo(100).map((i) => serving.tryDispatch(i, { timeout: 10 }));
  await clock.advance(10);
  await Promise.all(left);
  const last = serving.dispatch(101);
  handle.open([0]);
  await settled();
  handle.open([101]);
  expect(await Promise.all([first, last])).toEqual([0, 101]);
  expect(handle.calls.map(([values]) => values)).toEqual([[0], [101]]);
});

test('a timeout of 60 days fired on day 24.9', async () => {
  const day = 86_400_000;
  const clock = new TestClock();
  const serving = new BatchServing({ clock, batchSize: 2, batchTimeout: Infinity, handleBatch: same });
  const call = serving.tryDispatch(1, { timeout: 60 * day }).then(() => clock.now() / day);
  await clock.advance(61 * day);
  expect(await call).toBe(60);
});

test('a handlerTimeout of 60 days fired on day 24.9 in the caller', async () => {
  const day = 86_400_000;
  const clock = new TestClock();
  const serving = new BatchServing<number, never>({ clock, handlerTimeout: 60 * day, handleBatch: never });
  const call = serving.inline(1).then(
    () => 0,
    () => clock.now() / day,
  );
  await settled();
  await clock.advance(61 * day);
  expect(await call).toBe(60);
});

describe('the context', () => {
  const contexts = (options: object = {}) => {
    const clock = new TestClock();
    const seen: ServingContext[] = [];
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({
      clock,
      batchSize: 2,
      handleBatch: (values, context) => {
        seen.push(context);
        return handle(values);
      },
      ...options,
    });
    return { clock, seen, handle, serving };
  };

  test('signal aborts when no caller of the batch is left, not before', async () => {
    const { seen, serving, handle, clock } = contexts();
    const leaving = new AbortController();
    const calls = [serving.tryDispatch(1, { signal: leaving.signal }), serving.tryDispatch(2, { timeout: 50 })];
    leaving.abort(new Error('gone'));
    await settled();
    expect(seen[0]?.signal.aborted).toBe(false);
    await clock.advance(50);
    expect(seen[0]?.signal.reason).toBeInstanceOf(TimeoutError);
    handle.open([1, 2]);
    await Promise.all(calls);
    expect([serving.state.pending, serving.state.counts.aborted]).toEqual([0, 2]);
  });

  test('signal does not abort while a caller without options waits', async () => {
    const { seen, serving, handle, clock } = contexts();
    const stays = serving.dispatch(1);
    void serving.tryDispatch(2, { timeout: 50 });
    await clock.advance(60);
    expect(seen[0]?.signal.aborted).toBe(false);
    handle.open([10, 20]);
    expect(await stays).toBe(10);
  });

  test('signal looked at only after the last caller has left is aborted', async () => {
    const { seen, serving, handle } = contexts({ batchSize: 1 });
    const leaving = new AbortController();
    const call = serving.tryDispatch(1, { signal: leaving.signal });
    leaving.abort(new Error('gone'));
    expect(seen[0]?.signal.reason).toEqual(new Error('gone'));
    handle.open([1]);
    await call;
  });

  test('a stream that is left aborts the signal of its batch', async () => {
    const { seen, serving, handle } = contexts();
    const stream = serving.stream([1, 2]);
    await settled();
    await stream.return?.();
    expect(seen[0]?.signal.reason).toMatchObject({ name: 'AbortError' });
    handle.open([1, 2]);
  });

  test('deadline is the latest of the callers, Infinity if one waits without end', async () => {
    const { seen, serving, handle, clock } = contexts();
    await clock.advance(1000);
    const timed = [serving.tryDispatch(1, { timeout: 50 }), serving.tryDispatch(2, { timeout: 80 })];
    expect(seen[0]?.deadline).toBe(1080);
    handle.openAll([0, 0]);
    await Promise.all(timed);
    await Promise.all([serving.dispatch(1), serving.tryDispatch(2, { timeout: 80 })]);
    expect(seen[1]?.deadline).toBe(Infinity);
  });

  test('deadline looked at only after all callers have left has passed', async () => {
    const { seen, serving, clock } = contexts();
    const start = clock.now();
    const calls = [serving.tryDispatch(1, { timeout: 20 }), serving.tryDispatch(2, { timeout: 50 })];
    await clock.advance(60);
    await Promise.all(calls);
    expect((seen[0]?.deadline ?? NaN) - start).toBe(50);
  });

  test('deadline stayed that of a caller who had left, once it had been looked at', async () => {
    const { seen, serving, handle, clock } = contexts();
    const start = clock.now();
    const leaving = new AbortController();
    const calls = [serving.tryDispatch(1, { signal: leaving.signal }), serving.tryDispatch(2, { timeout: 80 })];
    expect(seen[0]?.deadline).toBe(Infinity);
    leaving.abort();
    expect((seen[0]?.deadline ?? NaN) - start).toBe(80);
    handle.open([0, 0]);
    await Promise.all(calls);
    expect((seen[0]?.deadline ?? NaN) - start).toBe(80);
  });

  test('a listener of the signal may call the serving', async () => {
    const { seen, serving, handle, clock } = contexts({ batchSize: 1 });
    const again: Promise<number>[] = [];
    const call = serving.tryDispatch(1, { timeout: 10 });
    seen[0]?.signal.addEventListener('abort', () => again.push(serving.dispatch(2)));
    await clock.advance(10);
    await call;
    handle.openAll([7]);
    expect(await Promise.all(again)).toEqual([7]);
  });
});

test('a part of a stream behind a failed one was executed again', async () => {
  const clock = new TestClock();
  const runs: number[] = [];
  let release: (results: (number | Error)[]) => void = () => undefined;
  const serving = new BatchServing<number, number>({
    clock,
    partitions: 3,
    retry: { attempts: 2, minDelay: 10, jitter: false },
    handleBatch: ([value = 0]) => {
      runs.push(value);
      if (value === 1) return new Promise<(number | Error)[]>((resolve) => (release = resolve));
      if (value === 2) return Promise.resolve([new Error('slot')]);
      return clock.now() < 5
        ? new Promise((_, reject) =>
            clock.setTimer(() => {
              reject(new Error('down'));
            }, 5),
          )
        : [value];
    },
  });
  const events = serving.stream([1, 2, 3]);
  const first = events.next();
  await clock.advance(50);
  expect(runs).toEqual([1, 2, 3]);
  release([10]);
  expect(await first).toMatchObject({ value: { output: [10] } });
  await expect(events.next()).rejects.toThrow('slot');
  expect(serving.state.pending).toBe(0);
});

describe('timers and batches around those who leave', () => {
  test('an answered call takes its timer along, also while others wait: 2 timed calls, 1 timer, then none', async () => {
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ clock, partitions: 2, handleBatch: handle });
    const calls = [1, 2].map((v) => serving.dispatch(v, { timeout: 1000 }));
    await settled();
    expect(clock.pendingTimers).toBe(1);
    handle.openAll([0]);
    await Promise.all(calls);
    expect(clock.pendingTimers).toBe(0);
  });

  test('callers that time out at the moment at which their batch is due all leave before any of it is executed', async () => {
    const clock = new TestClock();
    const executed: number[] = [];
    const serving = new BatchServing({
      clock,
      batchSize: 10,
      batchTimeout: 50,
      handleBatch: (values: readonly number[]) => {
        executed.push(...values);
        return [...values];
      },
    });
    const calls = [1, 2, 3].map((v) => serving.tryDispatch(v, { timeout: 50 }));
    await clock.advance(50);
    for (const outcome of await Promise.all(calls)) expect(outcome.ok).toBe(false);
    expect(executed).toEqual([]);
  });
});

describe('callers who leave at the same time blocked the event loop in one piece', () => {
  const PORTION = 1024;

  /** Callers who share a signal, and in which order their promises settle. */
  const crowd = (count: number, options: object = {}) => {
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ clock, handleBatch: handle, ...options });
    const controller = new AbortController();
    const order: number[] = [];
    const outcomes = upTo(count).map(async (i) => {
      const outcome = await serving.tryDispatch(i, { signal: controller.signal });
      order.push(i);
      return outcome;
    });
    const abort = () => {
      controller.abort(new Error('gone'));
    };
    return { clock, handle, serving, order, outcomes, abort };
  };

  test('1000 leave within the turn', async () => {
    const { serving, order, abort } = crowd(1000, { batchSize: 10, partitions: 1 });
    abort();
    expect([serving.state.pending, serving.state.counts.aborted]).toEqual([10, 990]);
    await settled();
    expect(order).toEqual(upTo(1000));
  });

  test('3000 leave in their order, 1024 a turn; at every moment those who have not are pending', async () => {
    const { serving, order, abort } = crowd(3000);
    abort();
    for (let i = 0; i < 10; i++) await Promise.resolve();
    const seen = [order.length];
    while (order.length < 3000) {
      const { pending, counts } = serving.state;
      expect([counts.values, pending + counts.aborted]).toEqual([3000, 3000]);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(order.length);
    }
    expect(order).toEqual(upTo(3000));
    expect(seen.filter((length, i) => length !== seen[i - 1])).toEqual([PORTION, 2 * PORTION, 3000]);
    expect(serving.state).toMatchObject({ pending: 1, counts: { aborted: 2999 } });
  });

  test('20,000 streams blocked it 47 to 80 ms a turn: a stream counts as four, 256 leave in a turn', async () => {
    const serving = new BatchServing<number, never>({ clock: new TestClock(), batchSize: 8, handleBatch: never });
    const controller = new AbortController();
    let left = 0;
    const streams = upTo(600).map(async (i) => {
      await expect(serving.stream([i], { signal: controller.signal }).next()).rejects.toThrow('gone');
      left++;
    });
    controller.abort(new Error('gone'));
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const seen = [left];
    while (left < 600) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(left);
    }
    expect(seen.filter((count, i) => count !== seen[i - 1])).toEqual([256, 512, 600]);
    await Promise.all(streams);
  });

  test('a clock that is moved by hand leaves no caller behind', async () => {
    const { clock, order, abort } = crowd(3000);
    abort();
    await clock.advance(0);
    expect([order.length, clock.pendingTimers]).toEqual([3000, 0]);
  });

  test('many signals that abort in one turn count together: 30 with 100 callers each are 1024 in the first turn', async () => {
    const serving = new BatchServing<number, never>({ clock: new TestClock(), handleBatch: never });
    let left = 0;
    const signals = upTo(30).map(() => new AbortController());
    const calls = upTo(3000).map(async (i) => {
      const { signal } = signals[i % 30] as AbortController;
      await serving.tryDispatch(i, { signal });
      left++;
    });
    for (const signal of signals) signal.abort();
    for (let i = 0; i < 10; i++) await Promise.resolve();
    expect(left).toBe(PORTION);
    await Promise.all(calls);
  });

  test('no value of theirs is executed while they wait for their portion, also when their lane is ready just then', async () => {
    const ready = gate<[], undefined>();
    const { serving, handle, outcomes, abort } = crowd(3000, { batchSize: 3000, init: () => ready() });
    const stays = serving.dispatch(7);
    abort();
    ready.open(undefined);
    await Promise.all(outcomes);
    await settled();
    expect(handle.calls).toEqual([]);
    void serving.flush();
    await settled();
    expect(handle.calls.map(([values]) => values)).toEqual([[7]]);
    handle.open([70]);
    expect(await stays).toBe(70);
  });

  test('a result that comes while its caller waits for its portion is too late', async () => {
    const { serving, handle, outcomes, abort } = crowd(3000, { batchSize: 3000 });
    await settled();
    abort();
    handle.open(upTo(3000));
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({ ok: false, error: { message: 'gone' } });
    }
    expect(serving.state).toMatchObject({ pending: 0, counts: { aborted: 3000, delivered: 0 } });
  });

  test("close({ pending: 'reject' }) and a failing handler do not change the reason of those who left before", async () => {
    const { serving, handle, outcomes, abort } = crowd(3000, { batchSize: 1500 });
    await settled();
    abort();
    const closed = serving.close({ pending: 'reject' });
    handle.fail(new Error('down'));
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({ ok: false, error: { message: 'gone' } });
    }
    await closed;
    expect(serving.state).toMatchObject({ pending: 0, counts: { aborted: 3000, failed: 0 } });
  });

  test.each([{}, { timeout: 1000 }])("close({ pending: 'reject' }) resolves after all 3000 %j", async (options) => {
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ clock, batchSize: 10, handleBatch: handle });
    const order: number[] = [];
    const calls = upTo(3000).map((i) =>
      serving.dispatch(i, 'timeout' in options ? options : undefined).then(undefined, () => order.push(i)),
    );
    const first = serving.dispatchMany(upTo(10));
    void first.catch(() => undefined);
    await settled();
    const state = { closed: false };
    void serving.close({ pending: 'reject' }).then(() => (state.closed = true));
    handle.openAll(upTo(10));
    while (!state.closed) {
      const { pending, counts } = serving.state;
      expect(pending + counts.failed + counts.delivered).toBe(3010);
      await settled();
    }
    expect(order).toEqual(upTo(3000).slice(10));
    await Promise.all(calls);
    expect(handle.calls).toHaveLength(1);
    expect(serving.state).toMatchObject({ pending: 0, counts: { failed: 3000, delivered: 10 } });
    await settled();
    expect(clock.pendingTimers).toBe(0);
  });

  test("close({ pending: 'reject' }) right after an abort executes nothing, also when a lane is ready just then", async () => {
    const ready = gate<[], undefined>();
    const clock = new TestClock();
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({
      clock,
      batchSize: 10,
      init: () => ready(),
      handleBatch: handle,
    });
    const controller = new AbortController();
    const waiting = upTo(10).map((i) => serving.tryDispatch(i));
    const leaving = upTo(3000).map((i) => serving.tryDispatch(i, { signal: controller.signal }));
    await settled();
    controller.abort(new Error('gone'));
    const closed = serving.close({ pending: 'reject' });
    ready.open(undefined);
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ error: { name: 'ClosedError' } });
    for (const outcome of await Promise.all(leaving)) expect(outcome).toMatchObject({ error: { message: 'gone' } });
    await closed;
    expect(handle.calls).toEqual([]);
    expect(serving.state).toMatchObject({ pending: 0, counts: { failed: 10, aborted: 3000 } });
  });

  test('close that gives up 3000 running batches rejects after their callers', async () => {
    const { serving, order } = crowd(3000, { partitions: Infinity });
    await settled();
    const seen = serving.close({ timeout: 0 }).catch((error: unknown) => [error, order.length]);
    expect(await seen).toEqual([expect.objectContaining({ undelivered: 3000 }), 3000]);
  });

  test('what a stream has not read is dropped at the abort, not with its portion', async () => {
    const clock = new TestClock();
    const handleBatch = (values: readonly number[]) => (values[0] === 0 ? [...values] : never());
    const serving = new BatchServing<number, number>({ clock, batchSize: 2, partitions: Infinity, handleBatch });
    const { signal, abort } = (() => {
      const controller = new AbortController();
      return {
        signal: controller.signal,
        abort: () => {
          controller.abort(new Error('gone'));
        },
      };
    })();
    const others = upTo(2000).map(() => serving.tryDispatch(1, { signal }));
    const stream = serving.stream([0, 0, 1, 1], { signal });
    await settled();
    abort();
    await expect(stream.next()).rejects.toThrow('gone');
    await Promise.all(others);
  });
});
