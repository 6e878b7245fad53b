/** Bytes of heap for each item that `fill` queues; items are small integers, which take none themselves. */
export async function bytesPerItem(n, fill, meter) {
  meter.start();
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const kept = await fill();
  globalThis.gc();
  const bytes = (process.memoryUsage().heapUsed - before) / n;
  meter.stop();
  return { count: n, bytes, failed: kept.length > 0 ? undefined : 'nothing was kept until it was counted' };
}
