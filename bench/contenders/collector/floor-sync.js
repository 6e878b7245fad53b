import { Sink } from '../../lib/sink.js';

/** An async method: one promise per add, one producer that awaits each. */
export async function run({ n, batchSize, verify }, meter) {
  const sink = new Sink(verify);
  let items = [];
  async function add(item) {
    if (items.push(item) < batchSize) return;
    const batch = items;
    items = [];
    sink.take(batch);
  }
  meter.start();
  for (let i = 0; i < n; i++) await add(i);
  meter.stop();
  return { ...sink.result(n), rate: n / (meter.wall / 1e9) };
}
