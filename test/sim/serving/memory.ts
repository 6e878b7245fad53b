// node --expose-gc --import tsx test/sim/serving/memory.ts [dispatches, 10,000,000 by default]
// Memory stays flat over many dispatches: the heap after each tenth is compared with the heap after the first.
import { BatchServing } from '../../../src/serving/batch-serving.js';

const total = Number(process.argv[2] ?? 10_000_000);
const serving = new BatchServing({
  batchSize: 1000,
  batchTimeout: 0,
  handleBatch: (values: readonly number[]) => values.map((value) => value + 1),
});
const { gc } = globalThis as { gc?: () => void };
let first = 0;
for (let tenth = 1; tenth <= 10; tenth++) {
  const callers = Array.from({ length: 1000 }, async (_, caller) => {
    for (let i = 0; i < total / 10_000; i++) {
      if ((await serving.dispatch(caller)) !== caller + 1) throw new Error('the result of another');
      // One in a hundred gives up.
      if (i % 100 === 99) await serving.tryDispatch(caller, { signal: AbortSignal.abort(), timeout: 1000 });
    }
  });
  await Promise.all(callers);
  gc?.();
  const heap = process.memoryUsage().heapUsed / 2 ** 20;
  if (tenth === 1) first = heap;
  console.log(`${String((tenth * total) / 10)} dispatches: ${heap.toFixed(1)} MB`);
  if (heap > first + 4) process.exitCode = 1;
}
