import { create, maxBatchSizeScheduler } from '@yornaath/batshit';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const batcher = create({
        fetcher: async (items) => items,
        resolver: (_items, query) => query,
        scheduler: maxBatchSizeScheduler({ maxBatchSize: n + 1 }),
      });
      const promises = [];
      for (let i = 0; i < n; i++) promises.push(batcher.fetch(i));
      return [batcher, promises];
    },
    meter,
  );
