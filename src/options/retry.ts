import * as z from 'zod/mini';
import { once, count, delay, factor, flag, check } from './check.js';

const retryFields = /* @__PURE__ */ once(() =>
  z.strictObject({
    attempts: count,
    minDelay: delay,
    maxDelay: delay,
    factor,
    jitter: flag,
  }),
);

/** How failed attempts are repeated. Missing fields keep their defaults. */
export interface RetryOptions {
  /** Attempts in all; `Infinity` by default. */
  attempts?: number | null | undefined;
  /** Milliseconds after the first failure; 100 by default. At least 1 ms is always waited. */
  minDelay?: number | null | undefined;
  /** Milliseconds; 30,000 by default. */
  maxDelay?: number | null | undefined;
  /** By how much the delay grows with each failure; 2 by default. */
  factor?: number | null | undefined;
  /** Draw the delay evenly from its upper half, so that many clients do not return at once; `true` by default. */
  jitter?: boolean | null | undefined;
}

export interface Retry {
  attempts: number;
  minDelay: number;
  maxDelay: number;
  factor: number;
  jitter: boolean;
}

/** Parses the `retry` option; `false` is a single attempt. */
export function parseRetry(owner: string, retry: RetryOptions | false | null | undefined): Retry {
  if (retry !== false && retry != null) check(owner, 'retry.', retryFields(), retry);
  const given: RetryOptions = retry === false ? { attempts: 1 } : (retry ?? {});
  return {
    attempts: given.attempts ?? Infinity,
    minDelay: given.minDelay ?? 100,
    maxDelay: given.maxDelay ?? 30_000,
    factor: given.factor ?? 2,
    jitter: given.jitter ?? true,
  };
}

/** Milliseconds before the next attempt, or `undefined` when all are used up. */
export function retryDelay(retry: Retry, attempt: number, random: () => number): number | undefined {
  if (attempt >= retry.attempts) return undefined;
  // Bounded, since zero times infinity is no number.
  const growth = Math.min(retry.factor ** (attempt - 1), Number.MAX_VALUE);
  const wait = Math.min(retry.maxDelay, retry.minDelay * growth);
  return retry.jitter ? wait * (0.5 + random() / 2) : wait;
}
