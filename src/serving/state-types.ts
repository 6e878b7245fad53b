import type { Trigger } from '../core/schedule.js';

/** The part that the events of a batch have in common. */
export interface ServingBatchInfo {
  /** Number of the partition that executed the batch, from 0. */
  partition: number;
  /** Values in the batch. */
  size: number;
  /** The trigger that cut the batch, the same in every attempt. */
  reason: Trigger;
  /** The attempt that ended, from 1. */
  attempt: number;
  /** Duration of the attempt, in milliseconds. */
  duration: number;
  /** Calls with a part in the batch. */
  calls: number;
}

/** Events of a serving, by name, and their payloads. */
export type ServingEvents = {
  /** A batch was executed. */
  executed: ServingBatchInfo;
  /** An attempt failed; it is repeated at `retryAt`, a time of the serving's clock, or not at all (`Infinity`). */
  failed: ServingBatchInfo & { error: unknown; retryAt: number };
  /** `close` has ended; `undelivered` counts the values that were not executed. */
  closed: { undelivered: number };
};

/** A live view; at every moment `values = delivered + failed + aborted + pending`. */
export interface ServingState {
  /** Values accepted and not settled. Those that `mapInputs` still has are not accepted yet. */
  readonly pending: number;
  /** Batches being executed. */
  readonly running: number;
  /** Counts since construction; `delivered`, `failed` and `aborted` are values. */
  readonly counts: {
    readonly calls: number;
    readonly values: number;
    /** Batches executed. */
    readonly batches: number;
    readonly delivered: number;
    readonly failed: number;
    /** Values whose callers aborted or timed out. */
    readonly aborted: number;
  };
}
