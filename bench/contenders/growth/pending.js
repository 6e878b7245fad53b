import { BatchPlease } from '../../lib/batch-please.js';
import { Sink } from '../../lib/sink.js';

/** Each time that `pending` items wait behind a sink that is busy, it lets them through; n items in all. */
export async function run({ n, pending, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  let open = () => {};
  let closed = Promise.resolve();
  const collector = new (class extends BatchPlease {
    batchInit() {
      return [];
    }
    batchAddItem(batch, item) {
      batch.push(item);
    }
    async batchFlush(batch) {
      await closed;
      sink.take(batch);
    }
  })({ maxBatchSize: batchSize });
  const total = Math.max(n, pending);
  meter.start();
  for (let i = 0; i < total;) {
    closed = new Promise((resolve) => (open = resolve));
    for (const end = Math.min(total, i + Math.max(pending, 1000)); i < end; i++) collector.addItem(i);
    open();
    await collector.flush();
  }
  await collector.close();
  meter.stop();
  return sink.result(total);
}
