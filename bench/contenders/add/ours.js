import { BatchPlease } from '../../lib/batch-please.js';
import { Sink, turn } from '../../lib/sink.js';

class Collector extends BatchPlease {
  sink;
  batchInit() {
    return [];
  }
  batchAddItem(batch, item) {
    batch.push(item);
  }
  batchFlush(batch) {
    this.sink.take(batch);
  }
}

class AsyncCollector extends Collector {
  async batchFlush(batch) {
    this.sink.take(batch);
  }
}

const AGES = { maxTimeSinceFirstItem: 1000, maxTimeSinceLastFlush: 1000, flushInterval: 1000 };

export async function run({ n, batchSize, perTurn, hook, ages, verify }, meter) {
  const collector = new (hook === 'async' ? AsyncCollector : Collector)({
    maxBatchSize: batchSize,
    ...(ages && AGES),
  });
  const sink = (collector.sink = new Sink(verify));
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) collector.addItem(i);
    await turn();
  }
  await collector.close();
  meter.stop();
  return sink.result(n);
}
