import { MemoryBatcher } from '../../lib/batch-please.js';
import { Sink, turn } from '../../lib/sink.js';

export async function run({ n, batchSize, perTurn, hook, verify }, meter) {
  const sink = new Sink(verify);
  const collector = new MemoryBatcher({
    maxBatchSize: batchSize,
    batchFlush: hook === 'async' ? async ({ items }) => sink.take(items) : ({ items }) => sink.take(items),
  });
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) collector.addItem(i);
    await turn();
  }
  await collector.close();
  meter.stop();
  return { ...sink.result(n), rate: n / (meter.wall / 1e9) };
}
