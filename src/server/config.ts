import type { BatchServerConfig, BatchServerOptions } from './types.js';

/** The options in force. */
export function configOf(className: string, options: BatchServerOptions): BatchServerConfig {
  const maxBatchSize = options.maxBatchSize ?? 8192;
  const flushMailbox = options.flushMailboxOnTerminate;
  return Object.freeze({
    minBatchSize: options.minBatchSize ?? Math.min(32, maxBatchSize),
    maxBatchSize,
    batchSizeGrowth: options.batchSizeGrowth ?? 'exponential',
    reversedBatch: options.reversedBatch ?? false,
    summaryCount: flushMailbox == null || flushMailbox === false ? undefined : flushMailbox.summaryCount,
    hardLimit: options.hardLimit ?? false,
    maxPending: options.maxPending ?? Infinity,
    overflow: options.overflow ?? 'wait',
    name: options.name ?? className,
  });
}
