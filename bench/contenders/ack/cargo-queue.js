import { cargoQueue } from 'async';
import { Sink } from '../../lib/sink.js';

export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  const queue = cargoQueue(async (items) => sink.take(items), 1, batchSize);
  meter.start();
  for (let i = 0; i < n;) {
    const wave = [];
    for (const end = i + batchSize; i < end; i++) wave.push(queue.pushAsync(i));
    await Promise.all(wave);
  }
  meter.stop();
  return sink.result(n);
}
