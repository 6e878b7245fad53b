import { BatchServing } from 'batch-please';
import { TestClock } from 'batch-please/testing';
import { earlyClock } from '../support/early-clock.js';

test('a batch that a timer starts a moment early has no negative duration', async () => {
  const clock = new TestClock();
  const durations: number[] = [];
  const serving = new BatchServing({
    clock: earlyClock(clock),
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
