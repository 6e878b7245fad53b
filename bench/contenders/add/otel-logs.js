import { ExportResultCode } from '@opentelemetry/core';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { Sink, turn } from '../../lib/sink.js';

const RESOURCE = { asyncAttributesPending: false };
// Records are made beforehand, since making them is not what is measured.
const records = [];

export async function run({ n, batchSize, perTurn, verify }, meter) {
  while (records.length < n) records.push({ resource: RESOURCE, body: records.length });
  const sink = new Sink(verify);
  const processor = new BatchLogRecordProcessor({
    exporter: {
      async export(batch, done) {
        sink.take(batch.map(({ body }) => body));
        done({ code: ExportResultCode.SUCCESS });
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    },
    maxExportBatchSize: batchSize,
    maxQueueSize: n, // beyond it the newest are dropped without a word; 2048 by default
    scheduledDelayMillis: 1000,
  });
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) processor.onEmit(records[i]);
    await turn();
  }
  await processor.forceFlush();
  await sink.arrived(n);
  meter.stop();
  return sink.result(n);
}
