import type { Batch, Work } from './batch.js';
import type { Awaitable } from './promise.js';

/** The decision about a batch whose attempt failed. */
export type Decision<State> = Action | Parts<State>;
/** Try again after `retryIn` ms (`set`: by the user, never cut short but by `close`), keep, step aside, or give up. */
export type Action = { retryIn: number; set?: boolean } | 'hold' | 'aside' | 'drop';
/** Each part becomes a batch of its own; entries that no part names are delivered. */
export interface Parts<State> {
  parts: readonly { state: State; indexes: readonly number[]; action: Action; error: unknown; attempt: number }[];
  result?: unknown;
}

/** How a batch ended. */
export type Ending = { result: unknown } | { error: unknown; why: 'overflow' | 'giveUp' };

/** The answer of the family to an end: the error for its callers, if it was given up, and the work that follows. */
export interface Settled {
  error?: Error;
  /** The error for the caller of the entry at that place, where they differ. */
  errorOf?: ((place: number) => Error) | undefined;
  work?: Work | undefined;
}

/** The port from the core to a family. None of its methods may throw, but for `run`, whose throw fails the attempt. */
export interface Driver<State> {
  /** Lets the next entry join, or refuses one whose hook took too long; `false` if there is nothing to do. */
  next(now: number): boolean;
  run(batch: Batch<State>): Awaitable<unknown>;
  /** Decides about a batch whose attempt failed, or (with `batch.work`) about the work that follows its end. */
  failed(batch: Batch<State>, error: unknown): Decision<State>;
  /** The batch waits until `retryAt`, or is held; the error is for pending `flush()` calls that cover a held batch. */
  waits(batch: Batch<State>, error: unknown, retryAt: number): Error;
  settled(batch: Batch<State>, ending: Ending): Settled;
  /** At the end: refuses every entry that has not joined, and answers how many those were. */
  abandon(error: Error): number;
  /** Room may be free; `drained`: nothing is pending any more. */
  changed(drained: boolean): void;
  /** Names an attempt in the message of its timeout; "a flush" by default. */
  readonly work?: string;
}
