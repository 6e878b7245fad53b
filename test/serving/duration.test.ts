import { BatchServing, type Clock } from 'batch-please';
import { TestClock } from 'batch-please/testing';

test('a batch that a timer starts a moment early has no negative duration', async () => {
  const clock = new TestClock();
  // As setTimeout does it: it may fire up to a millisecond early.
  const early: Clock = {
    now: () => clock.now(),
    setTimer: (fn, ms) => clock.setTimer(fn, Math.max(0, ms - 1)),
    clearTimer: (handle) => {
      clock.clearTimer(handle);
    },
  };
  const durations: number[] = [];
  const serving = new BatchServing({
    clock: early,
    batchSize: 10,
    batchTimeout: 10,
    handleBatch: (values: readonly number[]) => values,
  });
  serving.on('executed', ({ duration }) => durations.push(duration));
  const result = serving.dispatch(1);
  await clock.advance(20);
  expect(await result).toBe(1);
  expect(durations).toEqual([0]);
  await serving.close();
});
