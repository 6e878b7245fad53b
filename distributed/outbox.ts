import { ItemError, PartialFlushError, type BatchPleaseOptions, type RetryOptions } from '../src/index.js';
import { MemoryBatcher, type MemoryBatch } from '../collectors/index.js';
import type { DurableLog } from './contract.js';
import { encodeItem } from './frames.js';

/** Options of `outbox`: those of a `MemoryBatcher`, and a partition. */
export interface OutboxOptions<Item> extends Omit<BatchPleaseOptions<Item, MemoryBatch<Item>>, 'batchFlush'> {
  /** The partition of the log that all items go to. @default 0 */
  partition?: number | undefined;
}

/**
 * Appends items to a log, one batch a message: `deliverItem` resolves when its item is stored. The batch's id is the
 * message's, so an attempt that is repeated because its answer was lost is stored once. An item that is too large for a
 * message, or that JSON cannot express, fails alone.
 *
 * It holds its items in memory. A `FileBatcher` whose `batchFlush` is `(batch, { id }) => log.append(items, id)` keeps them
 * through a crash and a long outage.
 */
export function outbox<Item>(log: DurableLog<Item>, options: OutboxOptions<Item> = {}): MemoryBatcher<Item> {
  const { partition, retry, ...rest } = options;
  const where = partition === undefined ? undefined : { partition };
  return new MemoryBatcher<Item>({
    maxBatchSize: 500,
    maxTimeSinceFirstItem: 5,
    flushConcurrency: 16,
    // Attempts never end by default: given up is only what no attempt can store.
    giveUp: 'drop',
    ...rest,
    retry: finalForItems(retry ?? { attempts: Infinity, minDelay: 50, maxDelay: 2000 }),
    async batchFlush({ items }, { id }) {
      try {
        return await log.append(items, id, where);
      } catch (error) {
        if (!(error instanceof ItemError)) throw error;
      }
      const bad = unencodable(items);
      const good = items.filter((_, index) => !bad.has(index));
      if (good.length > 0) await log.append(good, id, where);
      throw new PartialFlushError([...bad]);
    },
  });
}

function unencodable(items: readonly unknown[]): Map<number, unknown> {
  const bad = new Map<number, unknown>();
  items.forEach((item, index) => {
    try {
      encodeItem(item);
    } catch (error) {
      bad.set(index, error);
    }
  });
  return bad;
}

/** An item that cannot be encoded will not be encoded by the next attempt. */
function finalForItems(retry: RetryOptions | false): RetryOptions | false {
  if (retry === false) return false;
  return { ...retry, delay: (failed) => (failed.error instanceof ItemError ? false : retry.delay?.(failed)) };
}
