import type { BatchPleaseOptions } from '../src/index.js';
import { MemoryBatcher, type MemoryBatch } from '../collectors/index.js';
import type { DurableLog } from './contract.js';
import { Feed } from './feed.js';
import type { FeedCounts, FeedOptions } from './feed-options.js';

/** The options of a `MemoryBatcher`, and those of a feed. `batchFlush` is required. */
export interface CollectOptions<Item>
  extends
    Omit<BatchPleaseOptions<Item, MemoryBatch<Item>>, 'giveUp' | 'batchInit' | 'batchAddItem' | 'clock'>,
    Pick<FeedOptions<Item, Item>, 'maxDeliveries' | 'maxItems' | 'backoff' | 'clock'> {
  batchFlush: NonNullable<BatchPleaseOptions<Item, MemoryBatch<Item>>['batchFlush']>;
  /** Reads this partition only, in order. */
  partition?: number | undefined;
  /** Messages that are fetched ahead. */
  prefetch?: number | undefined;
}

export interface Collecting<Item> {
  readonly batcher: MemoryBatcher<Item>;
  readonly counts: FeedCounts;
  /** Items that are here and not settled. */
  readonly outstanding: number;
  /** Settles when the log is read no more; rejects with its error if it cannot be read. */
  readonly done: Promise<void>;
  /** Delivers what is here, within `timeout` (30,000 ms by default), gives the rest back to the log, and closes the batcher. */
  close(options?: { timeout?: number }): Promise<{ givenBack: number }>;
}

/**
 * Delivers what a log holds, in batches: a `MemoryBatcher` fed from the log. Several processes with the same log share its
 * items. A batch that fails is tried again and then split, so that the items that are to blame fail alone; those end among
 * the log's dead letters after `maxDeliveries`.
 */
export function collect<Item>(log: DurableLog<Item>, options: CollectOptions<Item>): Collecting<Item> {
  const { maxDeliveries, maxItems, backoff, partition, prefetch, ...rest } = options;
  const maxBatchSize = rest.maxBatchSize ?? 1000;
  const collector: BatchPleaseOptions<Item, MemoryBatch<Item>> = {
    maxTimeSinceFirstItem: 200,
    ...rest,
    maxBatchSize,
    retry: rest.retry ?? { attempts: 2, minDelay: 50, maxDelay: 1000 },
  };
  const batcher = new MemoryBatcher<Item>({ ...collector, giveUp: 'split' });
  // Items that have failed are tried one by one, beside the others, and their failure is final for this delivery.
  const alone = new MemoryBatcher<Item>({ ...collector, maxBatchSize: 1, retry: false, giveUp: 'drop' });
  // A failure here is counted by the feed.
  alone.on('failed', () => undefined);
  const feed = new Feed(log.source({ partition, prefetch }), batcher, {
    maxDeliveries,
    backoff,
    clock: rest.clock,
    maxItems: maxItems ?? maxBatchSize * ((rest.flushConcurrency ?? 1) + 2),
    alone,
  });
  return {
    batcher,
    counts: feed.counts,
    get outstanding() {
      return feed.outstanding;
    },
    done: feed.done,
    async close({ timeout = 30_000 } = {}) {
      const result = await feed.close({ timeout });
      await Promise.all([batcher, alone].map((one) => one.close({ flush: false, timeout })));
      return result;
    },
  };
}
