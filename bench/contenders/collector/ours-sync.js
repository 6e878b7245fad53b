import { MemoryBatcher } from '../../lib/batch-please.js';
import { Sink } from '../../lib/sink.js';

/** One producer that awaits each add. */
export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const collector = new MemoryBatcher({ maxBatchSize: batchSize, batchFlush: ({ items }) => sink.take(items) });
  meter.start();
  for (let i = 0; i < n; i++) await collector.syncAddItem(i);
  await collector.close();
  meter.stop();
  return { ...sink.result(n), rate: n / (meter.wall / 1e9) };
}
