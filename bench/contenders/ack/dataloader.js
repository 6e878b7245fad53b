import DataLoader from 'dataloader';
import { Sink } from '../../lib/sink.js';

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const loader = new DataLoader(
    async (items) => {
      sink.take(items);
      return items;
    },
    { cache: false, maxBatchSize: batchSize },
  );
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(loader.load(i));
    await Promise.all(wave);
  }
  meter.stop();
  return sink.result(n);
}
