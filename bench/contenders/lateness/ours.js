import { MemoryBatcher } from '../../lib/batch-please.js';
import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      const collector = new MemoryBatcher({
        maxBatchSize: 1000,
        maxTimeSinceFirstItem: params.age,
        batchFlush: ({ items }) => flushed(items[0]),
      });
      return (at) => collector.addItem(at);
    },
    meter,
  );
