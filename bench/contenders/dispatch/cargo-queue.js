import { cargoQueue } from 'async';
import { closedLoop } from '../../lib/callers.js';
import { judge } from '../../lib/sink.js';

/** It has no results per item; each task carries where to put its own. */
export async function run({ n, callers, batchSize }, meter) {
  const queue = cargoQueue(
    async (tasks) => {
      for (const task of tasks) task.result = task.value * 2;
    },
    1,
    batchSize,
  );
  meter.start();
  const answers = await closedLoop({ n, callers }, async (value) => {
    const task = { value, result: 0 };
    await queue.pushAsync(task);
    return task.result;
  });
  meter.stop();
  return judge({ expected: n, ...answers });
}
