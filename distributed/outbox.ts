import type { BatchPleaseOptions } from '../src/index.js';
import { MemoryBatcher, type MemoryBatch } from '../collectors/index.js';
import type { DurableLog } from './contract.js';

export interface OutboxOptions<Item> extends Omit<BatchPleaseOptions<Item, MemoryBatch<Item>>, 'batchFlush'> {
  /** Of a log with partitions; all items go there. @default 0 */
  partition?: number | undefined;
}

/**
 * Appends items to a log, one batch a message: `deliverItem` resolves when its item is stored. The batch's id is the
 * message's, so an attempt that is repeated because its answer was lost is stored once.
 *
 * It holds its items in memory. A `FileBatcher` whose `batchFlush` is `(batch, { id }) => log.append(items, id)` keeps them
 * through a crash and a long outage.
 */
export function outbox<Item>(log: DurableLog<Item>, options: OutboxOptions<Item> = {}): MemoryBatcher<Item> {
  const { partition, ...rest } = options;
  return new MemoryBatcher<Item>({
    maxBatchSize: 500,
    maxTimeSinceFirstItem: 5,
    flushConcurrency: 16,
    retry: { attempts: Infinity, minDelay: 50, maxDelay: 2000 },
    ...rest,
    batchFlush: ({ items }, { id }) => log.append(items, id, partition === undefined ? undefined : { partition }),
  });
}
