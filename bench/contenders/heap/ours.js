import { MemoryBatcher } from '../../lib/batch-please.js';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n, acknowledged }, meter) =>
  bytesPerItem(
    n,
    () => {
      const collector = new MemoryBatcher({ maxBatchSize: n + 1, unref: true, batchFlush: () => {} });
      const promises = [];
      for (let i = 0; i < n; i++) {
        if (acknowledged) promises.push(collector.deliverItem(i));
        else collector.addItem(i);
      }
      return [collector, promises];
    },
    meter,
  );
