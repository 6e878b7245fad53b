import type { Trigger } from '../core/schedule.js';

export interface BatchInfo {
  id: string;
  reason: Trigger;
  size: number;
  weight: number;
  attempt: number;
  /** Milliseconds. */
  duration: number;
}

export type BatchPleaseEvents<Item, Batch = unknown> = {
  /** `result`: what `batchFlush` returned. */
  flushed: BatchInfo & { result: unknown };
  /**
   * It will be tried again at `retryAt`, of the batcher's clock. `hook` says what failed; for a `batchPostFlush` or
   * `batchDeadLetter` that is not tried again, `retryAt` is `Infinity`.
   */
  failed: BatchInfo & {
    error: unknown;
    retryAt: number;
    hook: 'batchFlush' | 'batchPostFlush' | 'batchDeadLetter';
  };
  /** It is kept until the next trigger. */
  held: BatchInfo & { error: unknown };
  /** `batch` for a batch; `item` for a single one that `'dropNewest'` turned away. */
  dropped: { reason: 'overflow' | 'giveUp'; size: number; error?: unknown; batch?: Batch; item?: Item };
  refused: { item: Item; error: Error };
  /** Nothing is pending any more. */
  drained: undefined;
  /** With what was not delivered, if anything. */
  closed: { undelivered: number };
};

export interface AddOptions {
  /** Told if this item will never be delivered. */
  onError?: ((error: Error) => unknown) | undefined;
}

export interface WaitOptions {
  signal?: AbortSignal | null | undefined;
}

export interface FlushOptions {
  signal?: AbortSignal | null | undefined;
  /** Milliseconds; none by default. */
  timeout?: number | null | undefined;
  /**
   * Tries a batch that waits for its retry, or is held, at once: once per wait, and never before a delay that
   * `retry.delay` has set.
   * @default true
   */
  hurry?: boolean | null | undefined;
}

export interface CloseOptions {
  /** Milliseconds; 30,000 by default. */
  timeout?: number | null | undefined;
  /** `false` waits only for what is in flight; `true` by default. */
  flush?: boolean | null | undefined;
}
