import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Trigger } from '../core/schedule.js';
import type { RetryOptions } from '../options/retry.js';
import type { BatchPleaseState } from './state-types.js';

/** The second argument of the flush hooks. */
export interface FlushContext {
  /** The same in every attempt, and different for every batch: an idempotency key. */
  readonly id: string;
  /** The trigger that cut the batch, the same in every attempt. */
  readonly reason: Trigger;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** Items in the batch. */
  readonly size: number;
  /** Sum of the items' weights; 0 without `weigh`. A part of a batch has its share by the number of items. */
  readonly weight: number;
  /** Aborts at the flush timeout, and when `close` gives up. */
  readonly signal: AbortSignal;
}

/** The hooks; each is a method to override, or an option of the same name, which wins. To fail, throw. */
export interface BatchPleaseHooks<Item, Batch> {
  /** Required: makes the state of a new batch, at the first item of that batch. If it fails, that item is refused. */
  batchInit?(options: BatchPleaseOptions<Item, Batch>): Awaitable<Batch>;
  /**
   * Required: changes the batch and returns nothing, or returns the batch's next state. If it fails, that item alone is
   * refused, and the batch stays as it was given.
   */
  batchAddItem?(batch: Batch, item: Item): Awaitable<Batch | void>;
  /**
   * Replaces `batchAddItem` for batches whose items are stored outside (a file, a database): adds all items that came since
   * the last call, in order, so that many items share one write. An error in a slot refuses that item, a throw all of
   * them. `syncAddItem` then resolves as soon as this hook has, whatever the sink does.
   */
  batchAddItems?(batch: Batch, items: readonly Item[]): Awaitable<readonly (Error | undefined)[] | void>;
  /** A name of the batch that outlives the process, for `context.id`; by default ids are unique to the batcher. */
  batchId?(batch: Batch): string;
  /** Called before each attempt; may return another state for flush and postFlush. Nothing keeps the state. */
  batchPreFlush?(batch: Batch, context: FlushContext): Awaitable<Batch | void>;
  /** Required: delivers. If it fails the batch is kept and tried again. */
  batchFlush?(batch: Batch, context: FlushContext): Awaitable<unknown>;
  /** After a successful flush. If it fails the batch still counts as delivered, and only this is tried again. */
  batchPostFlush?(batch: Batch, context: FlushContext): Awaitable<unknown>;
  /**
   * Takes the items at these positions (0 is the first that joined) out of the batch, and returns them as a batch of
   * their own. With it a batch can fail in part.
   */
  batchSplit?(batch: Batch, indexes: readonly number[]): Batch;
  /** With `giveUp: 'drop'` or `'split'`: takes over a batch that is given up. */
  batchDeadLetter?(batch: Batch, error: unknown): Awaitable<unknown>;
  /** At close: once for every batch that was not delivered, or once with `undefined` if there is none. */
  batchTerminate?(batch: Batch | undefined): Awaitable<unknown>;
  /** Called before and after every add; `true` flushes. A throw is reported and counts as `false`. */
  shouldFlush?(state: BatchPleaseState<Item, Batch>): boolean;
}

/** An item between its acceptance and its joining a batch, with data that `prepare` adds. */
export interface Prepared<Item> {
  /** The item as it was added. */
  readonly item: Item;
}

/**
 * The work of a ready-made collector that keeps its items outside (files, a database), which no hook of a user can switch
 * off. Its `batchAddItems` gets the results of `prepare` in place of the items.
 */
export interface Storage<Item, Batch> {
  /** Called once, first, with the user's hooks; returns the hooks that are called in their place. */
  begin(hooks: BatchPleaseHooks<Item, Batch>): BatchPleaseHooks<Item, Batch>;
  /** Called with an item before its acceptance. If it throws, the item is refused. */
  prepare(item: Item): Prepared<Item>;
  /** Checks a bound of its own; without room the `overflow` policy decides. */
  hasRoom(entry: Prepared<Item>): boolean;
  /** Makes the error for an item without room. */
  overflow(entry: Prepared<Item>): Error;
  /** Called when the item has been accepted. */
  accepted(entry: Prepared<Item>): void;
  /** Called when an accepted item has been refused and will never join. */
  refused(entry: Prepared<Item>): void;
  /** Whether the failed attempt reached the sink. If not, it is not counted. */
  attempted(batch: Batch): boolean;
  /** Whether a batch is given up, whatever `retry` and `giveUp` say. */
  givesUp(batch: Batch, error: unknown, attempt: number): boolean;
  /** Called when the batch was dropped to make room; the room is there when this returns. */
  discard(batch: Batch): Awaitable<void>;
  /** Called at the end of `close`. */
  end(): Awaitable<void>;
}

/** The options that `configure` changes. */
export type ChangeableOptions = Pick<
  BatchPleaseOptions<never, never>,
  | 'maxBatchSize'
  | 'maxBatchWeight'
  | 'maxTimeSinceFirstItem'
  | 'maxTimeSinceLastItem'
  | 'maxTimeSinceLastFlush'
  | 'flushInterval'
  | 'flushJitter'
  | 'flushConcurrency'
  | 'flushTimeout'
  | 'retry'
  | 'giveUp'
  | 'highWaterMark'
  | 'maxPending'
  | 'overflow'
>;

/** Options of a collector; each may be left out or `null`. All times are milliseconds. */
export interface BatchPleaseOptions<Item, Batch> extends NullableHooks<Item, Batch> {
  /**
   * Items in a batch; a full batch is flushed at once.
   * @default off
   */
  maxBatchSize?: number | null | undefined;
  /**
   * Sum of the weights in a batch. An item that does not fit closes the batch first; a single heavier one goes alone. Needs
   * `weigh`.
   * @default off
   */
  maxBatchWeight?: number | null | undefined;
  /** Returns the weight of an item, for example its bytes. If it throws, the item is refused. */
  weigh?: ((item: Item) => number) | null | undefined;
  /**
   * Age of a batch: milliseconds from the acceptance of its first item to its flush, with or without further adds.
   * @default off
   */
  maxTimeSinceFirstItem?: number | null | undefined;
  /**
   * Milliseconds without a new item; flushed after one to two times as long, so that no add reads the clock. The reason is
   * `'idle'`.
   * @default off
   */
  maxTimeSinceLastItem?: number | null | undefined;
  /**
   * Milliseconds since the last flush (before the first one: since the first item), if there is something to flush.
   * @default off
   */
  maxTimeSinceLastFlush?: number | null | undefined;
  /**
   * Flushes every so many milliseconds, measured from construction; adds and flushes do not shift the grid.
   * @default off
   */
  flushInterval?: number | null | undefined;
  /**
   * Delays each tick of the grid by up to this fraction of the interval, 0…1.
   * @default 0
   */
  flushJitter?: number | null | undefined;
  /**
   * Batches in delivery at the same time; `Infinity` is allowed. Order is kept only with 1.
   * @default 1
   */
  flushConcurrency?: number | null | undefined;
  /**
   * An attempt (preFlush and flush) that takes longer, in milliseconds, fails with `TimeoutError`, and so does a postFlush;
   * an init or add hook that takes longer refuses its item.
   * @default off
   */
  flushTimeout?: number | null | undefined;
  /**
   * How failed attempts are repeated; `false` is one attempt. Missing fields keep their defaults.
   * @default { attempts: Infinity, minDelay: 100, maxDelay: 30_000, factor: 2, jitter: true }
   */
  retry?: RetryOptions | false | null | undefined;
  /**
   * After the last attempt: `'hold'` keeps the batch until the next trigger or `flush()`; `'drop'` gives it to
   * `batchDeadLetter`, if there is one, and moves on; `'split'` halves it (needs `batchSplit`) until a single item fails,
   * and drops that one if other items can be delivered.
   * @default 'hold'
   */
  giveUp?: 'hold' | 'drop' | 'split' | null | undefined;
  /**
   * Pending items from which on `addItem` returns `false`, which means "slow down".
   * @default off
   */
  highWaterMark?: number | null | undefined;
  /**
   * Hard bound on items that are accepted and not settled.
   * @default off
   */
  maxPending?: number | null | undefined;
  /**
   * When `maxPending` is reached: with `'wait'`, `syncAddItem` and `deliverItem` wait for room and `addItem` refuses;
   * `'reject'` refuses; `'dropNewest'` drops the item, `'dropOldest'` the oldest batch that is not in flight.
   * @default 'wait'
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  /**
   * `false`: pending items keep the process alive while a timer or a running flush will deliver them, and are flushed when
   * it would end by itself. `true` switches both off.
   * @default false
   */
  unref?: boolean | null | undefined;
  /**
   * The source of time and timers.
   * @default the system's clock
   */
  clock?: Clock | null | undefined;
}

type NullableHooks<Item, Batch> = {
  [Hook in keyof BatchPleaseHooks<Item, Batch>]: BatchPleaseHooks<Item, Batch>[Hook] | null;
};

export type * from './event-types.js';
export type * from './state-types.js';
