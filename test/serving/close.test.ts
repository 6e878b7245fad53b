import { BatchServing, CloseError, ClosedError } from 'batch-please';
import { TestClock, gate } from 'batch-please/testing';
import { settled, strayErrors } from '../support/collectors.js';

// Every caller has an answer once close has, wherever the call is at that moment.

const never = (): Promise<never> => new Promise(() => undefined);
const same = (values: readonly number[]): number[] => [...values];

/** What became of the calls so far: `'waits'`, or how they ended. */
function watched(calls: Promise<unknown>[]): string[] {
  const seen = calls.map(() => 'waits');
  calls.forEach((call, i) => {
    call.then(
      (value) => (seen[i] = `got ${JSON.stringify(value)}`),
      (error: unknown) => (seen[i] = (error as Error).name),
    );
  });
  return seen;
}

test.each(['wait', 'dropOldest'] as const)(
  'calls that were still being mapped at close waited for room for ever (%s): they are turned away',
  async (overflow) => {
    const clock = new TestClock();
    const mapInputs = (values: readonly number[]): Promise<number[]> => Promise.resolve([...values]);
    const serving = new BatchServing<number, number, undefined, never, unknown, number>({
      clock,
      maxPending: 1,
      overflow,
      mapInputs,
      handleBatch: never,
    });
    const seen = watched([serving.dispatch(1), serving.dispatch(2), serving.dispatchMany([3])]);
    const closing = watched([serving.close({ timeout: 50 })]);
    await settled();
    expect(seen).toEqual(['waits', 'ClosedError', 'ClosedError']);
    await clock.advance(50);
    expect([...seen, ...closing, serving.state.pending]).toEqual([
      ...['ClosedError', 'ClosedError', 'ClosedError', 'CloseError'],
      0,
    ]);
  },
);

test('close resolved though mapResults never answered, and callers waited for ever: 4 = 1+2+1 are undelivered', async () => {
  const clock = new TestClock();
  const serving = new BatchServing({ clock, handleBatch: same, mapResults: never });
  const stray = await strayErrors(async () => {
    const seen = watched([serving.dispatch(1), serving.dispatchMany([1, 2]), serving.stream([1]).next()]);
    const closing = serving.close({ timeout: 50 });
    closing.catch(() => undefined);
    await clock.advance(49);
    expect(seen).toEqual(['waits', 'waits', 'waits']);
    await clock.advance(1);
    expect(seen).toEqual(['ClosedError', 'ClosedError', 'ClosedError']);
    await expect(closing).rejects.toMatchObject({ name: 'CloseError', undelivered: 4, batches: [] });
  });
  expect(stray).toEqual([]);
});

test('close resolved though mapInputs never answered: 4 = 1+2+1 are undelivered', async () => {
  const clock = new TestClock();
  const serving = new BatchServing({ clock, handleBatch: same, mapInputs: never });
  const seen = watched([serving.dispatch(1), serving.dispatchMany([1, 2]), serving.stream([1]).next()]);
  const closing = serving.close({ timeout: 50 });
  closing.catch(() => undefined);
  await clock.advance(50);
  expect(seen).toEqual(['ClosedError', 'ClosedError', 'ClosedError']);
  await expect(closing).rejects.toMatchObject({ name: 'CloseError', undelivered: 4 });
});

test('an empty list waited for mapResults, with nothing to map', async () => {
  const serving = new BatchServing({ handleBatch: same, mapResults: never });
  expect([await serving.dispatchMany([]), await serving.inlineMany([])]).toEqual([[], []]);
  await serving.close();
});

test('a map of results that answers before the timeout is waited for', async () => {
  const clock = new TestClock();
  const mapResults = gate<[readonly number[]], readonly number[]>();
  const serving = new BatchServing({ clock, handleBatch: same, mapResults });
  const seen = watched([serving.dispatch(1)]);
  const closing = watched([serving.close({ timeout: 50 })]);
  await clock.advance(40);
  expect([...seen, ...closing]).toEqual(['waits', 'waits']);
  mapResults.open([10]);
  await settled();
  expect([...seen, ...closing]).toEqual(['got 10', 'got undefined']);
  expect(clock.pendingTimers).toBe(0);
});

test('close waited for the map of a caller that had left: it does not any more', async () => {
  const clock = new TestClock();
  const serving = new BatchServing({ clock, handleBatch: same, mapResults: never, mapInputs: same });
  const leaving = new AbortController();
  const seen = watched([
    serving.dispatch(1, { signal: leaving.signal }),
    serving.stream([1], { signal: leaving.signal }).next(),
  ]);
  await clock.advance(100);
  const closing = watched([serving.close()]);
  await settled();
  expect(closing).toEqual(['waits']);
  leaving.abort();
  await settled();
  expect([...seen, ...closing]).toEqual(['AbortError', 'AbortError', 'got undefined']);
});

test('a map that did not answer used up the time of the others: what is accepted goes at once', async () => {
  const clock = new TestClock();
  const serving = new BatchServing({
    clock,
    batchSize: 10,
    batchTimeout: 1000,
    mapInputs: (values: readonly number[]) => (values[0] === 0 ? never() : values),
    handleBatch: same,
  });
  const seen = watched([serving.dispatch(0), serving.dispatch(1)]);
  const closing = serving.close({ timeout: 50 });
  closing.catch(() => undefined);
  await settled();
  expect(seen).toEqual(['waits', 'got 1']);
  await clock.advance(50);
  expect(seen).toEqual(['ClosedError', 'got 1']);
  await expect(closing).rejects.toBeInstanceOf(CloseError);
});

test('what was mapped just as the timeout came was started and given up at once, 3 batches on one partition', async () => {
  const started: number[] = [];
  const serving = new BatchServing({
    clock: new TestClock(),
    mapInputs: (values: readonly number[]) => Promise.resolve(values),
    handleBatch: (values: readonly number[]) => {
      started.push(...values);
      return never();
    },
  });
  const seen = watched([serving.dispatchMany([1, 2, 3]), serving.close({ timeout: 0 })]);
  await settled();
  expect([...seen, started]).toEqual(['ClosedError', 'CloseError', []]);
});

test('nothing enters after the end: what mapInputs answers then is dropped', async () => {
  const clock = new TestClock();
  const mapInputs = gate<[readonly number[]], readonly number[]>();
  const executed: number[] = [];
  const handleBatch = (values: readonly number[]): readonly number[] => {
    executed.push(...values);
    return values;
  };
  const serving = new BatchServing({ clock, mapInputs, mapResults: never, handleBatch });
  async function* source(): AsyncGenerator<number> {
    yield* [1, 2];
    await never();
  }
  const list = serving.tryDispatch(0);
  const pulled = serving.stream(source()).next();
  pulled.catch(() => undefined);
  await settled();
  const closing = serving.close({ timeout: 50 });
  closing.catch(() => undefined);
  await clock.advance(50);
  mapInputs.openAll([7]);
  await settled();
  expect(await list).toMatchObject({ ok: false, error: expect.any(ClosedError) as unknown });
  expect([executed, serving.state.pending, clock.pendingTimers]).toEqual([[], 0, 0]);
});

test('what inline work and maps answer after close has given them up is ignored, and leaves no timer', async () => {
  const clock = new TestClock();
  const handle = gate<[readonly number[]], number[]>();
  const mapResults = gate<[readonly number[]], number[]>();
  const serving = new BatchServing({
    clock,
    handlerTimeout: 5_000,
    retry: { attempts: 3 },
    handleBatch: (values: readonly number[], { inline }) => (inline ? handle(values) : [...values]),
    mapResults,
  });
  const stray = await strayErrors(async () => {
    const seen = watched([serving.inline(1), serving.inlineMany([2, 3]), serving.inlineStream([4]).next()]);
    const mapped = watched([serving.dispatch(5), serving.settleMany([6])]);
    const closing = watched([serving.close({ timeout: 50 })]);
    await clock.advance(50);
    const ends = ['ClosedError', 'ClosedError', 'ClosedError', 'ClosedError', 'ClosedError', 'CloseError'];
    expect([...seen, ...mapped, ...closing]).toEqual(ends);
    handle.fail(new Error('late'));
    handle.openAll([0]);
    mapResults.fail(new Error('late'));
    mapResults.openAll([0]);
    await clock.advance(10_000);
    expect([...seen, ...mapped, ...closing]).toEqual(ends);
    expect([clock.pendingTimers, handle.calls.length]).toEqual([0, 3]);
  });
  expect(stray).toEqual([]);
});
