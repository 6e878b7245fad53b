import { MemoryBatcher } from '../../lib/batch-please.js';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const collectors = new Map();
      for (let key = 0; key < n; key++) {
        const collector = new MemoryBatcher({ maxBatchSize: 1000, unref: true, batchFlush: () => {} });
        collector.addItem(key);
        collectors.set(key, collector);
      }
      return [collectors];
    },
    meter,
  );
