import { ExportResultCode } from '@opentelemetry/core';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { Sink, turn } from '../../lib/sink.js';

const RESOURCE = { asyncAttributesPending: false };
const SAMPLED = { traceFlags: 1, traceId: '1'.repeat(32), spanId: '1'.repeat(16) };
// Spans are made beforehand, since making them is not what is measured.
const spans = [];

export async function run({ n, batchSize, perTurn, verify }, meter) {
  while (spans.length < n) {
    const id = spans.length;
    spans.push({ resource: RESOURCE, id, spanContext: () => SAMPLED });
  }
  const sink = new Sink(verify);
  const processor = new BatchSpanProcessor(
    {
      async export(batch, done) {
        sink.take(batch.map(({ id }) => id));
        done({ code: ExportResultCode.SUCCESS });
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    },
    { maxExportBatchSize: batchSize, maxQueueSize: n, scheduledDelayMillis: 1000 },
  );
  meter.start();
  for (let i = 0; i < n;) {
    for (const end = Math.min(n, i + perTurn); i < end; i++) processor.onEnd(spans[i]);
    await turn();
  }
  await processor.forceFlush();
  await sink.arrived(n);
  meter.stop();
  return sink.result(n);
}
