import { BatchServing, ClosedError, OverflowError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled } from '../support/collectors.js';

const same = (values: readonly number[]): number[] => [...values];
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('a call larger than maxPending was let in whole', () => {
  test.each(['reject', 'dropNewest', 'dropOldest'] as const)(
    '%s: it is rejected, and no other caller is',
    async (overflow) => {
      const serving = new BatchServing({
        clock: new TestClock(),
        batchSize: 9,
        maxPending: 3,
        overflow,
        handleBatch: same,
      });
      const other = serving.dispatch(7);
      await expect(serving.dispatchMany(upTo(4))).rejects.toBeInstanceOf(OverflowError);
      expect(serving.state.pending).toBe(1);
      await serving.close();
      expect(await other).toBe(7);
    },
  );

  test('wait: it goes in piece by piece, 3+3+1 of 3', async () => {
    const pending: number[] = [];
    const sizes: number[] = [];
    const serving = new BatchServing({
      batchSize: 100,
      batchTimeout: 0,
      maxPending: 3,
      handleBatch: async (values: readonly number[]) => {
        sizes.push(values.length);
        pending.push(serving.state.pending);
        await settled();
        return values;
      },
    });
    expect(await serving.dispatchMany(upTo(7))).toEqual(upTo(7));
    expect([sizes, pending]).toEqual([
      [3, 3, 1],
      [3, 3, 1],
    ]);
  });

  test('wait: its caller may give up between two pieces', async () => {
    const handle = gate<[readonly number[]], number[]>();
    const serving = new BatchServing<number, number>({ batchSize: 2, maxPending: 2, handleBatch: handle });
    const leaving = new AbortController();
    const call = serving.dispatchMany(upTo(6), { signal: leaving.signal });
    leaving.abort(new Error('gone'));
    await expect(call).rejects.toThrow('gone');
    handle.openAll([0, 0]);
    await settled();
    expect([handle.calls.map(([values]) => values), serving.state.pending]).toEqual([[[0, 1]], 0]);
  });
});

test('a large call, closed between two pieces, is not answered with a part of its results', async () => {
  const serving = new BatchServing({ batchSize: 1, maxPending: 1, handleBatch: same });
  const call = serving.tryDispatchMany([1, 2, 3]); // the first is executed at once
  await serving.close({ pending: 'reject' });
  expect(await call).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
});

test('dropOldest rejected calls that wait though that made no room: 2 (executing) + 1 + 1 + 3 > 4', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const serving = new BatchServing<number, number>({
    clock: new TestClock(),
    batchSize: 2,
    maxPending: 4,
    overflow: 'dropOldest',
    handleBatch: handle,
  });
  const runs = serving.dispatchMany([1, 2]);
  const waiting = Promise.all([serving.dispatch(3), serving.dispatch(4)]);
  const incoming = serving.dispatchMany([5, 6, 7]);
  await settled();
  expect(serving.state.pending).toBe(4);
  for (const results of [
    [10, 20],
    [30, 40],
    [50, 60],
  ]) {
    handle.open(results);
    await settled();
  }
  const closing = serving.close();
  await settled();
  handle.open([70]);
  await closing;
  expect([await runs, await waiting, await incoming]).toEqual([
    [10, 20],
    [30, 40],
    [50, 60, 70],
  ]);
});

test('dropOldest: what it frees is for the call that comes in, not for a pulled value that waits', async () => {
  const handle = gate<[readonly number[]], number[]>();
  const serving = new BatchServing<number, number>({
    clock: new TestClock(),
    batchSize: 1,
    maxPending: 2,
    overflow: 'dropOldest',
    handleBatch: handle,
  });
  async function* one(): AsyncGenerator<number> {
    yield await Promise.resolve(9);
  }
  const runs = serving.dispatch(1);
  const oldest = serving.tryDispatch(2);
  const pulled = serving.dispatchMany(one());
  await settled();
  const incoming = serving.dispatch(3);
  expect(await oldest).toMatchObject({ ok: false, error: expect.any(OverflowError) as unknown });
  for (const result of [10, 30, 90]) {
    handle.open([result]);
    await settled();
  }
  expect([await runs, await incoming, await pulled]).toEqual([10, 30, [90]]);
  expect(handle.calls.map(([values]) => values)).toEqual([[1], [3], [9]]);
});

test('an endless source that answers at once, and a handler that does too, starved every other caller', async () => {
  const serving = new BatchServing({ batchSize: 10, handleBatch: same });
  async function* endless(): AsyncGenerator<number> {
    for (let i = 0; ; i++) yield await Promise.resolve(i);
  }
  const leaving = new AbortController();
  const call = serving.dispatchMany(endless(), { signal: leaving.signal });
  setImmediate(() => {
    leaving.abort(new Error('a turn'));
  });
  await expect(call).rejects.toThrow('a turn');
});

test('a call that was being admitted lost its place to one that a batch of it made: 3 of 3, then 2', async () => {
  const handle = gate<[readonly number[]], readonly number[]>();
  const nested: Promise<number[]>[] = [];
  const serving = new BatchServing<number, number>({
    clock: new TestClock(),
    batchSize: 1,
    maxPending: 3,
    handleBatch: (values) => {
      if (values[0] !== 1) return handle(values);
      nested.push(serving.dispatchMany([4, 5]));
      return values;
    },
  });
  const call = serving.dispatchMany([1, 2, 3]);
  expect(serving.state.pending).toBeLessThanOrEqual(3);
  await settled();
  expect(serving.state.pending).toBeLessThanOrEqual(3);
  for (const result of [2, 3, 4, 5]) {
    handle.open([result]);
    await settled();
  }
  expect([await call, ...(await Promise.all(nested))]).toEqual([
    [1, 2, 3],
    [4, 5],
  ]);
});
