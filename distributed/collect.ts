import type { BatchPleaseOptions, RetryOptions } from '../src/index.js';
import { MemoryBatcher, type MemoryBatch } from '../collectors/index.js';
import type { DurableLog } from './contract.js';
import { Feed } from './feed.js';
import { wrong, type FeedCounts, type FeedOptions } from './feed-options.js';

/** The options of a `MemoryBatcher`, and those of a feed. `batchFlush` is required. */
export interface CollectOptions<Item>
  extends
    Omit<BatchPleaseOptions<Item, MemoryBatch<Item>>, 'giveUp' | 'batchInit' | 'batchAddItem' | 'clock'>,
    Pick<FeedOptions<Item, Item>, 'maxDeliveries' | 'maxItems' | 'backoff' | 'clock'> {
  /** Delivers a batch. If it fails, the batch is tried again and then split. */
  batchFlush: NonNullable<BatchPleaseOptions<Item, MemoryBatch<Item>>['batchFlush']>;
  /** Reads this partition only, in order. */
  partition?: number | undefined;
  /** Messages that the log's client fetches ahead. Default: that of the log. */
  prefetch?: number | undefined;
}

/** A collector that `collect` feeds from a log. */
export interface Collecting<Item> {
  /** The collector. */
  readonly batcher: MemoryBatcher<Item>;
  /** Counts of messages and items since the start. */
  readonly counts: FeedCounts;
  /** Items that are here and not settled. */
  readonly outstanding: number;
  /** Settles when the log is read no more; rejects with its error if it cannot be read. */
  readonly done: Promise<void>;
  /**
   * Delivers the items that are here, within `timeout` milliseconds (30,000 by default), gives the rest back to the log, and
   * closes the batcher. Resolves to the number of messages that were given back.
   */
  close(options?: { timeout?: number }): Promise<{ givenBack: number }>;
}

const OWN = ['giveUp', 'batchInit', 'batchAddItem'];

/** Missing fields keep the defaults of `collect`: with attempts without end a batch would never be split. */
function retryOf(given: RetryOptions | false | null | undefined): RetryOptions | false {
  if (given === false) return false;
  const set = Object.entries(given ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return { attempts: 2, minDelay: 50, maxDelay: 1000, ...Object.fromEntries(set) };
}

/**
 * Delivers the items of a log in batches: a `MemoryBatcher` fed from the log. Several processes with the same log share its
 * items. A batch that fails is tried again and then split, so that the items that are to blame fail alone; those end among
 * the log's dead letters after `maxDeliveries`.
 *
 * @throws OptionsError
 *
 * @example
 * const orders = collect(log, { maxBatchSize: 500, batchFlush: ({ items }) => insert(items) });
 * await orders.close();
 */
export function collect<Item>(log: DurableLog<Item>, options: CollectOptions<Item>): Collecting<Item> {
  for (const name of OWN) {
    const given: unknown = Reflect.get(options, name);
    if (given !== undefined) throw wrong(name, 'no such option: it is set by collect', given, 'collect');
  }
  if (typeof options.batchFlush !== 'function') throw wrong('batchFlush', 'a function', options.batchFlush, 'collect');
  const { maxDeliveries, maxItems, backoff, partition, prefetch, ...rest } = options;
  const maxBatchSize = rest.maxBatchSize ?? 1000;
  const collector: BatchPleaseOptions<Item, MemoryBatch<Item>> = {
    maxTimeSinceFirstItem: 200,
    ...rest,
    maxBatchSize,
    retry: retryOf(rest.retry),
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
