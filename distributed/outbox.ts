import { ItemError, TooLargeError, type BatchPleaseOptions } from '../src/index.js';
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
 * message, or that JSON cannot express, is refused with `ItemError`.
 *
 * It holds its items in memory. A `FileBatcher` whose `batchFlush` is `(batch, { id }) => log.append(items, id)` keeps them
 * through a crash and a long outage.
 */
export function outbox<Item>(log: DurableLog<Item>, options: OutboxOptions<Item> = {}): MemoryBatcher<Item> {
  const { partition, weigh, maxBatchWeight, ...rest } = options;
  const where = partition === undefined ? undefined : { partition };
  return new MemoryBatcher<Item>({
    maxBatchSize: 500,
    maxTimeSinceFirstItem: 5,
    flushConcurrency: 16,
    retry: { attempts: Infinity, minDelay: 50, maxDelay: 2000 },
    ...rest,
    // A frame never exceeds a message, unless the weights are the caller's.
    maxBatchWeight: maxBatchWeight ?? (weigh == null ? log.largest : undefined),
    weigh(item) {
      const bytes = bytesOf(item, log.largest);
      return weigh == null ? bytes : weigh(item);
    },
    async batchFlush({ items }, { id }) {
      try {
        return await log.append(items, id, where);
      } catch (error) {
        // An item was changed after it was accepted. Halving finds it, and gives it up alone.
        if (error instanceof ItemError) throw new TooLargeError('an item cannot be encoded any more', error);
        throw error;
      }
    },
  });
}

/** With its line break. Its throw refuses the item: no attempt would store it. */
function bytesOf(item: unknown, largest: number): number {
  const bytes = Buffer.byteLength(encodeItem(item)) + 1;
  if (bytes > largest) throw new TooLargeError(`an item of ${bytes} bytes, and a message takes ${largest}`);
  return bytes;
}
