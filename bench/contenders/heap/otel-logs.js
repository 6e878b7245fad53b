import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { bytesPerItem } from '../../lib/heap.js';

export const run = ({ n }, meter) =>
  bytesPerItem(
    n,
    () => {
      // One record over and over: what is counted is the queue.
      const record = { resource: { asyncAttributesPending: false } };
      const processor = new BatchLogRecordProcessor({
        exporter: { export: () => {}, forceFlush: async () => {}, shutdown: async () => {} },
        maxExportBatchSize: n + 1,
        maxQueueSize: n + 1,
        scheduledDelayMillis: 3_600_000,
      });
      for (let i = 0; i < n; i++) processor.onEmit(record);
      return [processor];
    },
    meter,
  );
