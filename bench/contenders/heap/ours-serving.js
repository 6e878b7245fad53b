import { BatchServing } from '../../lib/batch-please.js';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      const serving = new BatchServing({ batchSize: n + 1, batchTimeout: 3_600_000, handleBatch: (values) => values });
      const promises = [];
      for (let i = 0; i < n; i++) promises.push(serving.dispatch(i));
      return [serving, promises];
    },
    meter,
  );
