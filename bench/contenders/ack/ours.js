import { MemoryBatcher } from '../../lib/batch-please.js';
import { Sink } from '../../lib/sink.js';

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const collector = new MemoryBatcher({ maxBatchSize: batchSize, batchFlush: async ({ items }) => sink.take(items) });
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(collector.deliverItem(i));
    await Promise.all(wave);
  }
  meter.stop();
  await collector.close();
  return sink.result(n);
}
