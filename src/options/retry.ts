import * as z from 'zod/mini';
import { once, count, delay, factor, flag, check, hook, milliseconds, readOptions } from './check.js';

const retryFields = /* @__PURE__ */ once(() =>
  z.strictObject({
    attempts: count,
    minDelay: delay,
    maxDelay: delay,
    factor,
    jitter: flag,
    maxElapsed: milliseconds,
    delay: hook,
  }),
);

/** The argument of `retry.delay`. */
export interface FailedAttempt {
  /** The error of the attempt; of a part that failed, the error of the item. */
  readonly error: unknown;
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  /** Milliseconds since the first attempt began. */
  readonly elapsed: number;
  /** Milliseconds that the schedule would wait. */
  readonly delay: number;
}

/** How failed attempts are repeated. Missing fields keep their defaults. */
export interface RetryOptions {
  /**
   * Attempts in all.
   * @default Infinity
   */
  attempts?: number | null | undefined;
  /**
   * Delay after the first failure, in milliseconds; at least 1 ms.
   * @default 100
   */
  minDelay?: number | null | undefined;
  /**
   * The longest delay, in milliseconds.
   * @default 30_000
   */
  maxDelay?: number | null | undefined;
  /**
   * By how much the delay grows with each failure.
   * @default 2
   */
  factor?: number | null | undefined;
  /**
   * Draws the delay evenly from its upper half, so that many clients do not return at once.
   * @default true
   */
  jitter?: boolean | null | undefined;
  /**
   * Milliseconds after the start of the first attempt from which on no further attempt starts.
   * @default Infinity
   */
  maxElapsed?: number | null | undefined;
  /**
   * Called after each failure: a number is the wait in ms (a server's Retry-After), `false` means that another attempt
   * is of no use, `undefined` keeps the schedule's delay. Anything else, or a throw, is reported and keeps it too.
   */
  delay?: ((failed: FailedAttempt) => number | false | undefined | void) | null | undefined;
}

export interface Retry {
  attempts: number;
  minDelay: number;
  maxDelay: number;
  factor: number;
  jitter: boolean;
  maxElapsed: number;
  delay: ((failed: FailedAttempt) => unknown) | undefined;
}

/** Parses the `retry` option; `false` is a single attempt. */
export function parseRetry(owner: string, retry: RetryOptions | false | null | undefined): Retry {
  const given = readOptions(retryFields(), retry === false ? { attempts: 1 } : (retry ?? {})) as RetryOptions;
  check(owner, 'retry.', retryFields(), given);
  return {
    attempts: given.attempts ?? Infinity,
    minDelay: given.minDelay ?? 100,
    maxDelay: given.maxDelay ?? 30_000,
    factor: given.factor ?? 2,
    jitter: given.jitter ?? true,
    maxElapsed: given.maxElapsed ?? Infinity,
    delay: given.delay ?? undefined,
  };
}

/** Milliseconds that the schedule waits after the given attempt. */
export function backoff(retry: Retry, attempt: number): number {
  // Bounded, since zero times infinity is no number.
  const growth = Math.min(retry.factor ** Math.max(attempt - 1, 0), Number.MAX_VALUE);
  const wait = Math.min(retry.maxDelay, retry.minDelay * growth);
  return retry.jitter ? wait * (0.5 + Math.random() / 2) : wait;
}

/** Milliseconds before the next attempt, or `undefined` when all are used up. */
export function retryDelay(retry: Retry, attempt: number): number | undefined {
  return attempt >= retry.attempts ? undefined : backoff(retry, attempt);
}
