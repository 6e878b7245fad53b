import type { Status } from '../core/batch.js';
import type { Trigger } from '../core/schedule.js';
import type { Retry } from '../options/retry.js';

/** The options in force, defaults filled in. `Infinity` means that a limit is off; times are milliseconds. */
export interface BatchPleaseConfig {
  /** Items in a batch. */
  readonly maxBatchSize: number;
  /** Sum of weights in a batch. */
  readonly maxBatchWeight: number;
  /** Age of a batch. */
  readonly maxTimeSinceFirstItem: number;
  /** Time without a new item. */
  readonly maxTimeSinceLastItem: number;
  /** Time since the last flush. */
  readonly maxTimeSinceLastFlush: number;
  /** Distance of the ticks, from construction on. */
  readonly flushInterval: number;
  /** Largest delay of a tick, as a fraction of the interval. */
  readonly flushJitter: number;
  /** Batches in delivery at the same time. */
  readonly flushConcurrency: number;
  /** Duration of an attempt, and of an init, add or postFlush hook. */
  readonly flushTimeout: number;
  /** The schedule of attempts; `retry: false` is `attempts: 1`. */
  readonly retry: Readonly<Retry>;
  /** The policy for a batch after its last attempt. */
  readonly giveUp: 'hold' | 'drop' | 'split';
  /** Pending items from which on `addItem` returns `false`. */
  readonly highWaterMark: number;
  /** Bound on items that are accepted and not settled. */
  readonly maxPending: number;
  /** The policy for an item when that bound is reached. */
  readonly overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  /** Whether pending items let the process end. */
  readonly unref: boolean;
}

/** A live view; at every moment `totalItems = delivered + refused + dropped + returned + pending`. */
export interface BatchPleaseState<Item, Batch> {
  /** The open batch; `undefined` when there is none. */
  readonly batch: Batch | undefined;
  /** The last item that joined a batch. */
  readonly lastItem: Item | undefined;
  /** The options in force. */
  readonly config: BatchPleaseConfig;
  /** Counts since construction. */
  readonly counts: {
    /** Items in the open batch. */
    readonly batchItems: number;
    /** Items ever added, the refused and dropped ones included. */
    readonly totalItems: number;
    /** Batches delivered. */
    readonly flushes: number;
    /** Items delivered. */
    readonly delivered: number;
    /** Items refused by a hook, a bound or `close`. */
    readonly refused: number;
    /** Items given up after their acceptance. */
    readonly dropped: number;
    /** Items taken back by `clear()`. */
    readonly returned: number;
  };
  /** Times of the batcher's clock, in milliseconds; `undefined` before the first such event. */
  readonly times: {
    readonly firstItemOfBatch: number | undefined;
    readonly lastFlush: number | undefined;
  };
  /** Items accepted and not settled. */
  readonly pending: number;
  /** The weight of the open batch. */
  readonly weight: number;
  /** The batches in delivery, and their items. */
  readonly inFlight: { readonly batches: number; readonly items: number };
  /** Items accepted and not in flight. */
  readonly waiting: number;
  /** Whether `pause()` is in force. */
  readonly paused: boolean;
  /** Sealed batches that are not settled, oldest first; a new list at each read. */
  readonly batches: readonly BatchView[];
}

/** A sealed batch, as `state.batches` shows it. */
export interface BatchView {
  /** The same in every attempt: `context.id` of the hooks. */
  readonly id: string;
  /** Items. */
  readonly size: number;
  /** Sum of the items' weights; 0 without `weigh`. A part of a batch has its share by the number of items. */
  readonly weight: number;
  /** The trigger that cut the batch. */
  readonly reason: Trigger;
  /** The number of the present or last attempt, from 1; 0 before the first. */
  readonly attempt: number;
  /** Whether it waits for a lane, runs, waits for its retry, or is held after its last attempt. */
  readonly status: Exclude<Status, 'aside' | 'settled'>;
  /** The time of its next attempt, by the batcher's clock; `undefined` unless it is `'retrying'`. */
  readonly retryAt: number | undefined;
}
