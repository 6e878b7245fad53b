import { BatchServing, ClosedError, OverflowError, ResultCountError, TimeoutError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';

// Defects of the systems that servings are modelled on; each named after what a user saw there.

const same = (values: readonly number[]): number[] => [...values];

test('inline results of several chunks came as nested lists: they are flat', async () => {
  const serving = new BatchServing({ batchSize: 2, handleBatch: same });
  expect(await serving.inlineMany([1, 2, 3, 4, 5])).toEqual([1, 2, 3, 4, 5]);
});

test('the safe variants raised for a wrong argument, a map that throws and an unknown option', async () => {
  const mapInputs = (values: readonly number[]): readonly number[] => {
    if (values.includes(7)) throw new Error('map');
    return values;
  };
  const serving = new BatchServing<number, number>({ handleBatch: same, mapInputs });
  const outcomes = await Promise.all([
    serving.tryDispatch(7),
    serving.tryDispatchMany(null as never),
    serving.tryDispatch(1, { nonsense: 1 } as never),
  ]);
  expect(outcomes.map(({ ok }) => ok)).toEqual([false, false, false]);
});

test('a short answer shifted the results of every caller behind the gap: the batch fails', async () => {
  const serving = new BatchServing({ batchSize: 4, handleBatch: (values: readonly number[]) => values.slice(1) });
  const calls = await Promise.all([serving.tryDispatchMany([1, 2]), serving.tryDispatchMany([3, 4])]);
  for (const outcome of calls)
    expect(outcome).toMatchObject({ ok: false, error: expect.any(ResultCountError) as unknown });
});

test('one bad value failed all strangers in its batch: an error in a slot fails its caller', async () => {
  const handleBatch = (values: readonly number[]): (number | Error)[] =>
    values.map((value) => (value < 0 ? new Error('bad') : value));
  const serving = new BatchServing({ batchSize: 3, handleBatch });
  const outcomes = await Promise.all([1, -1, 3].map((value) => serving.tryDispatch(value)));
  expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true]);
});

test('callers could neither stop waiting nor take their values back', async () => {
  const clock = new TestClock();
  const seen: number[] = [];
  const handleBatch = (values: readonly number[]): number[] => {
    seen.push(...values);
    return [...values];
  };
  const serving = new BatchServing({ clock, batchSize: 10, handleBatch });
  const late = Promise.allSettled([serving.dispatch(1, { timeout: 50 })]);
  const stays = serving.dispatch(2);
  await clock.advance(100);
  expect(await late).toMatchObject([{ reason: expect.any(TimeoutError) as unknown }]);
  expect([await stays, seen]).toEqual([2, [2]]);
});

test('a source of values was drained into memory, and its failure killed the caller', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const serving = new BatchServing<number, number>({ batchSize: 2, handleBatch: handle });
  let pulled = 0;
  const source = (async function* () {
    for (;;) {
      if (++pulled > 6) throw new Error('source');
      yield pulled;
    }
  })();
  const call = serving.tryDispatchMany(source);
  await settled();
  expect(pulled).toBe(4);
  handle.open([1, 2]);
  await settled();
  handle.open([3, 4]);
  await settled();
  expect(await call).toMatchObject({ ok: false, error: { message: 'source' } });
  handle.openAll([5, 6]);
  await serving.close();
});

test('an empty source and an empty list were errors: they give an empty list', async () => {
  const serving = new BatchServing({ handleBatch: same });
  const none = (async function* (): AsyncGenerator<number> {})();
  expect([await serving.dispatchMany(none), await serving.dispatchMany([])]).toEqual([[], []]);
});

test('a handler that threw ended the serving for all callers: it fails its batch', async () => {
  let count = 0;
  const handleBatch = (values: readonly number[]): number[] => {
    if (++count === 1) throw new Error('crash');
    return [...values];
  };
  const serving = new BatchServing({ handleBatch });
  const outcomes = await Promise.all([serving.tryDispatch(1), serving.tryDispatch(2)]);
  expect(outcomes.map(({ ok }) => ok)).toEqual([false, true]);
});

test('queued work was rejected at shutdown: it is drained, or rejected if that is asked for', async () => {
  for (const pending of ['drain', 'reject'] as const) {
    const serving = new BatchServing({ batchSize: 10, handleBatch: same });
    const call = serving.tryDispatch(1);
    await serving.close({ pending });
    const outcome = await call;
    if (pending === 'drain') expect(outcome).toEqual({ ok: true, value: 1 });
    else expect(outcome).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
  }
});

test('a hook reached the callers of the next batch, and could not be for all callers', async () => {
  let kept: { all: (payload: unknown) => void } | undefined;
  const serving = new BatchServing<number, number, undefined, 'note'>({
    hooks: ['note'],
    handleBatch: (values, { hooks }) => {
      if (kept !== undefined) expect(() => kept?.all('to strangers')).toThrow(ClosedError);
      kept = hooks.note;
      hooks.note.all('to mine');
      return [...values];
    },
  });
  for (const value of [1, 2]) {
    const events: unknown[] = [];
    for await (const event of serving.stream([value])) events.push(event);
    expect(events).toEqual([
      { type: 'note', payload: 'to mine' },
      { type: 'batch', output: [value] },
    ]);
  }
});

test('20,000 single calls into one batch took quadratic time: each value is looked at once', async () => {
  let reads = 0;
  const handleBatch = (values: readonly number[]): number[] =>
    new Proxy([...values], {
      get: (list, key, self) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
        return Reflect.get(list, key, self) as unknown;
      },
    });
  const serving = new BatchServing({ batchSize: 20_000, handleBatch });
  const results = await Promise.all(Array.from({ length: 20_000 }, (_, i) => serving.dispatch(i)));
  expect([results.at(-1), reads]).toEqual([19_999, 20_000]);
});

test('queues had no bound', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const serving = new BatchServing<number, number>({ maxPending: 2, overflow: 'reject', handleBatch: handle });
  const taken = [serving.dispatch(1), serving.dispatch(2)];
  await expect(serving.dispatch(3)).rejects.toBeInstanceOf(OverflowError);
  handle.openAll([0]);
  expect(await Promise.all(taken)).toEqual([0, 0]);
});
