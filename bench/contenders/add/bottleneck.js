import Bottleneck from 'bottleneck';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, hook, ages, verify }, meter) {
  const sink = new Sink(verify);
  const batcher = new Bottleneck.Batcher({ maxSize: batchSize, ...(ages && { maxTime: 1000 }) });
  batcher.on('batch', hook === 'async' ? async (items) => sink.take(items) : (items) => sink.take(items));
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) batcher.add(i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  return sink.result(n);
}
