import { create, maxBatchSizeScheduler } from '@yornaath/batshit';
import { Sink } from '../../lib/sink.js';

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const batcher = create({
    fetcher: async (items) => {
      sink.take(items);
      return items;
    },
    resolver: (_items, query) => query,
    scheduler: maxBatchSizeScheduler({ maxBatchSize: batchSize }),
  });
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(batcher.fetch(i));
    await Promise.all(wave);
  }
  meter.stop();
  return sink.result(n);
}
