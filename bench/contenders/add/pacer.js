import { AsyncBatcher, Batcher } from '@tanstack/pacer';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, hook, ages, verify }, meter) {
  const sink = new Sink(verify);
  const options = { maxSize: batchSize, ...(ages && { wait: 1000 }) };
  const batcher =
    hook === 'async'
      ? new AsyncBatcher(async (items) => sink.take(items), options)
      : new Batcher((items) => sink.take(items), options);
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) void batcher.addItem(i);
    await turn();
  }
  await sink.arrived(n);
  meter.stop();
  return sink.result(n);
}
