// Run by waiting.long.test.ts, with few descriptors: items behind a sink that is down, and then up.
import * as fs from 'node:fs';
import { FileBatcher } from '../../../collectors/file-batcher.js';

const [path = '', count = '1000000'] = process.argv.slice(2);
const items = Number(count);
let down = true;
let delivered = 0;
let sum = 0;
let mostDescriptors = 0;
let refused = 0;
const batcher = new FileBatcher<{ id: number; pad: string }>({
  batchDirectory: path,
  durability: 'none', // with syncs the items that are not awaited queue up in memory as the disk is slow
  maxBatchSize: 100,
  retry: { minDelay: 50, maxDelay: 50 },
  batchFlush: async (batch) => {
    if (down) throw new Error('down');
    for await (const { id } of batch.items()) {
      delivered++;
      sum += id;
    }
  },
});
batcher.on('failed', () => undefined);
batcher.on('refused', () => refused++);
for (let id = 1; id <= items; id++) {
  batcher.addItem({ id, pad: 'x'.repeat(60) });
  if (id % 1000 !== 0) continue;
  await new Promise(setImmediate);
  mostDescriptors = Math.max(mostDescriptors, fs.readdirSync('/proc/self/fd').length);
}
globalThis.gc?.();
const { heapUsed } = process.memoryUsage();
down = false;
await batcher.flush();
await batcher.close();
process.stdout.write(JSON.stringify({ delivered, sum, refused, mostDescriptors, heapUsed }));
