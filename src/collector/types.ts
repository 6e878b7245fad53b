import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Status } from '../core/batch.js';
import type { Trigger } from '../core/schedule.js';
import type { Retry, RetryOptions } from '../options/retry.js';

/** What a flush hook is told about its batch. */
export interface FlushContext {
  /** The same in every attempt, and of no other batch: an idempotency key. */
  readonly id: string;
  /** The trigger that cut the batch, the same in every attempt. */
  readonly reason: Trigger;
  /** From 1. */
  readonly attempt: number;
  /** Items. */
  readonly size: number;
  /** The sum of what `weigh` said; 0 without it. */
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
   * Instead of `batchAddItem`, for batches whose items are stored outside (a file, a database): adds what has gathered
   * since the last call, in order, in one go, so that many items share one write. An error in a slot refuses that item,
   * a throw all of them. `syncAddItem` then resolves as soon as this has, whatever the sink does.
   */
  batchAddItems?(batch: Batch, items: readonly Item[]): Awaitable<readonly (Error | undefined)[] | void>;
  /** A name of the batch that outlives the process, for `context.id`; by default ids are unique to the batcher. */
  batchId?(batch: Batch): string;
  /** What it returns is what flush and postFlush see; nothing leaves the batch as it is. */
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
  /** Asked before and after every add; `true` flushes. If it throws, that is reported and counts as `false`. */
  shouldFlush?(state: BatchPleaseState<Item, Batch>): boolean;
}

/** What is kept of an item from its acceptance until it has joined its batch. */
export interface Prepared<Item> {
  readonly item: Item;
}

/**
 * For ready-made collectors that keep items outside (files, a database): what they do besides their hooks, and what no
 * user's hook may switch off. `batchAddItems` is then given what `prepare` made of the items.
 */
export interface Storage<Item, Batch> {
  /** Once, before anything else: the user's hooks, for which those that it returns stand in. */
  begin(hooks: BatchPleaseHooks<Item, Batch>): BatchPleaseHooks<Item, Batch>;
  /** Of an item that is about to be accepted. If it throws, the item is refused. */
  prepare(item: Item): Prepared<Item>;
  /** A bound of its own; where there is no room the `overflow` policy holds. */
  hasRoom(entry: Prepared<Item>): boolean;
  /** The error for one that there is no room for. */
  overflow(entry: Prepared<Item>): Error;
  accepted(entry: Prepared<Item>): void;
  /** After its acceptance: it will never join. */
  refused(entry: Prepared<Item>): void;
  /** Whether the sink has seen anything of the attempt that failed; else it does not count. */
  attempted(batch: Batch): boolean;
  /** Whether a batch is given up, whatever `retry` and `giveUp` say. */
  givesUp(batch: Batch, error: unknown, attempt: number): boolean;
  /** The batch was dropped to make room, which is there when this returns. */
  discard(batch: Batch): Awaitable<void>;
  /** At the end of `close`. */
  end(): Awaitable<void>;
}

/** What `configure` changes. */
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

/** Each may be left out or `null`. All times are milliseconds. */
export interface BatchPleaseOptions<Item, Batch> extends NullableHooks<Item, Batch> {
  /** Items; a full batch is flushed at once. */
  maxBatchSize?: number | null | undefined;
  /** The sum of weights. An item that does not fit closes the batch first; a single heavier one goes alone. */
  maxBatchWeight?: number | null | undefined;
  /** The weight of an item, for example its bytes. If it throws, the item is refused. */
  weigh?: ((item: Item) => number) | null | undefined;
  /** Max age, from the acceptance of the batch's first item, with or without further adds. */
  maxTimeSinceFirstItem?: number | null | undefined;
  /**
   * Without a new item; measured between one and two times as long, so that no add reads the clock. The reason is
   * `'idle'`.
   * @default none
   */
  maxTimeSinceLastItem?: number | null | undefined;
  /** Since the last flush (at first: since the first item), when there is something to flush. */
  maxTimeSinceLastFlush?: number | null | undefined;
  /** A steady grid from construction on, without drift, moved by nothing. */
  flushInterval?: number | null | undefined;
  /** Delays each tick of the grid by up to this fraction of the interval, 0…1; 0 by default. */
  flushJitter?: number | null | undefined;
  /** Batches delivered at the same time; 1 by default, and order is kept only with 1. */
  flushConcurrency?: number | null | undefined;
  /**
   * An attempt (preFlush and flush) that takes longer fails with `TimeoutError`, and so does a postFlush; an init or add
   * hook that takes longer refuses its item. None by default.
   */
  flushTimeout?: number | null | undefined;
  /** `{ attempts: Infinity, minDelay: 100, maxDelay: 30_000, factor: 2, jitter: true }`; `false` is one attempt. */
  retry?: RetryOptions | false | null | undefined;
  /**
   * After the last attempt: `'hold'` (the default) keeps the batch until the next trigger or `flush()`; `'drop'` gives it
   * to `batchDeadLetter`, if there is one, and moves on; `'split'` halves it until what fails is a single item.
   */
  giveUp?: 'hold' | 'drop' | 'split' | null | undefined;
  /** From how many pending items on `addItem` answers `false`; none by default. */
  highWaterMark?: number | null | undefined;
  /** Hard bound on items that are accepted and not settled; none by default. */
  maxPending?: number | null | undefined;
  /**
   * When `maxPending` is reached: `'wait'` (the default) lets `syncAddItem` and `deliverItem` wait for room, and `addItem`
   * refuse; `'reject'` refuses; `'dropNewest'` drops the item; `'dropOldest'` the oldest batch that is not in flight.
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  /**
   * By default pending items keep the process alive while a timer or a running flush will deliver them, and are flushed
   * when it would end by itself; `true` switches both off.
   */
  unref?: boolean | null | undefined;
  clock?: Clock | null | undefined;
}

type NullableHooks<Item, Batch> = {
  [Hook in keyof BatchPleaseHooks<Item, Batch>]: BatchPleaseHooks<Item, Batch>[Hook] | null;
};

/** The options in force, defaults filled in; `Infinity` is "none". */
export interface BatchPleaseConfig {
  readonly maxBatchSize: number;
  readonly maxBatchWeight: number;
  readonly maxTimeSinceFirstItem: number;
  readonly maxTimeSinceLastItem: number;
  readonly maxTimeSinceLastFlush: number;
  readonly flushInterval: number;
  readonly flushJitter: number;
  readonly flushConcurrency: number;
  readonly flushTimeout: number;
  readonly retry: Readonly<Retry>;
  readonly giveUp: 'hold' | 'drop' | 'split';
  readonly highWaterMark: number;
  readonly maxPending: number;
  readonly overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  readonly unref: boolean;
}

/** A live view; at every moment `totalItems = delivered + refused + dropped + returned + pending`. */
export interface BatchPleaseState<Item, Batch> {
  /** The open batch; `undefined` when there is none. */
  readonly batch: Batch | undefined;
  /** The last item that joined a batch. */
  readonly lastItem: Item | undefined;
  readonly config: BatchPleaseConfig;
  readonly counts: {
    /** In the open batch. */
    readonly batchItems: number;
    /** All that were ever added, the refused and dropped ones included. */
    readonly totalItems: number;
    /** Batches delivered. */
    readonly flushes: number;
    readonly delivered: number;
    readonly refused: number;
    readonly dropped: number;
    /** Taken back by `clear()`. */
    readonly returned: number;
  };
  /** By the batcher's clock. */
  readonly times: {
    readonly firstItemOfBatch: number | undefined;
    readonly lastFlush: number | undefined;
  };
  /** Items accepted and not settled. */
  readonly pending: number;
  /** The weight of the open batch. */
  readonly weight: number;
  /** What runs at the moment. */
  readonly inFlight: { readonly batches: number; readonly items: number };
  /** Items accepted and not in flight. */
  readonly waiting: number;
  readonly paused: boolean;
  /** Sealed batches that are not settled, oldest first; a list made at the look. */
  readonly batches: readonly BatchView[];
}

/** A sealed batch, as `state.batches` shows it. */
export interface BatchView {
  readonly id: string;
  readonly size: number;
  readonly weight: number;
  readonly reason: Trigger;
  /** Of the present or last attempt, from 1; 0 before the first. */
  readonly attempt: number;
  readonly status: Exclude<Status, 'aside' | 'settled'>;
  /** When it is tried again, by the batcher's clock; `undefined` unless it is `'retrying'`. */
  readonly retryAt: number | undefined;
}

export type * from './event-types.js';
