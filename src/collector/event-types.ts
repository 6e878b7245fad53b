import type { Trigger } from '../core/schedule.js';

/** The part that the events of a batch have in common. */
export interface BatchInfo {
  /** The same in every attempt, and of no other batch: `context.id` of the hooks. */
  id: string;
  /** The trigger that cut the batch, the same in every attempt. */
  reason: Trigger;
  /** Items in the batch. */
  size: number;
  /** Sum of the items' weights; 0 without `weigh`. A part of a batch has its share by the number of items. */
  weight: number;
  /** The attempt that ended, from 1. */
  attempt: number;
  /** Duration of the attempt, in milliseconds. */
  duration: number;
}

/** Events of a collector, by name, and their payloads: one per batch, apart from `refused`, which is one per item. */
export type BatchPleaseEvents<Item, Batch = unknown> = {
  /** A batch was delivered; `result` is the return value of `batchFlush`. */
  flushed: BatchInfo & { result: unknown };
  /**
   * An attempt failed; the next one starts at `retryAt`, a time of the batcher's clock. `hook` is the one that failed. A
   * `batchPostFlush` or `batchDeadLetter` that is not tried again has `retryAt: Infinity`.
   */
  failed: BatchInfo & {
    error: unknown;
    retryAt: number;
    hook: 'batchFlush' | 'batchPostFlush' | 'batchDeadLetter';
  };
  /** The last attempt failed, and the batch is kept until the next trigger or `flush()`. */
  held: BatchInfo & { error: unknown };
  /** Items were given up: `batch` for a batch, `item` for the single one that `'dropNewest'` turned away. */
  dropped: { reason: 'overflow' | 'giveUp'; size: number; error?: unknown; batch?: Batch; item?: Item };
  /** A hook, a bound or `close` refused an item. */
  refused: { item: Item; error: Error };
  /** Nothing is pending any more. */
  drained: undefined;
  /** `close` has ended; `undelivered` counts the items that were not delivered. */
  closed: { undelivered: number };
};

/** Options of `addItem` and `addItems`. */
export interface AddOptions {
  /** Called if this item will never be delivered, with the reason. */
  onError?: ((error: Error) => unknown) | undefined;
}

/** Options of `syncAddItem` and `deliverItem`. */
export interface WaitOptions {
  /**
   * An abort rejects the promise with the signal's reason. An item that still waits for room is left out; one that was
   * accepted stays.
   */
  signal?: AbortSignal | null | undefined;
}

/** Options of `flush`. */
export interface FlushOptions {
  /** An abort rejects the promise with the signal's reason; the delivery goes on. */
  signal?: AbortSignal | null | undefined;
  /**
   * Milliseconds after which the promise rejects with `TimeoutError`; the delivery goes on.
   * @default Infinity
   */
  timeout?: number | null | undefined;
  /**
   * Tries a batch that waits for its retry, or is held, at once: once per wait, and never before the end of a delay that
   * `retry.delay` set.
   * @default true
   */
  hurry?: boolean | null | undefined;
}

/** Options of `close`. */
export interface CloseOptions {
  /**
   * Milliseconds after which `close` gives up and rejects with `CloseError`.
   * @default 30_000
   */
  timeout?: number | null | undefined;
  /**
   * `false` waits only for the batches in flight, and delivers nothing else.
   * @default true
   */
  flush?: boolean | null | undefined;
}
