import * as z from 'zod/mini';
import { once, expects, count, lanes, flag, oneOf, clock, check, isPlainObject, optionsError } from './check.js';

const server = /* @__PURE__ */ once(() =>
  z.strictObject({
    minBatchSize: lanes,
    maxBatchSize: count,
    batchSizeGrowth: expects<BatchSizeGrowth>(
      "'exponential', 'fixed', { aimd: step }, { latency: milliseconds } or a function",
      (value) =>
        typeof value === 'function' ||
        value === 'exponential' ||
        value === 'fixed' ||
        isPositive(value, 'aimd', 1) ||
        isPositive(value, 'latency'),
    ),
    reversedBatch: flag,
    flushMailboxOnTerminate: expects<unknown>(
      'false or { summaryCount: a whole number from 0 up }',
      (value) => value === false || isPositive(value, 'summaryCount', 0),
    ),
    hardLimit: flag,
    maxPending: count,
    overflow: oneOf('wait', 'reject', 'dropNewest', 'dropOldest'),
    clock,
    name: expects<string>('a string', (value) => typeof value === 'string'),
  }),
);

/** How the limit of a batch server grows; the server decides which arguments the function gets. */
type BatchSizeGrowth = 'exponential' | 'fixed' | { aimd: number } | { latency: number } | ((...args: never) => number);

/** An object with that one field, which holds a finite number: whole from `least` up, or any above 0 without it. */
function isPositive(value: unknown, field: string, least?: number): boolean {
  if (!isPlainObject(value)) return false;
  const keys = Object.keys(value as object);
  const number = (value as Record<string, unknown>)[field];
  if (keys.length !== 1 || keys[0] !== field || typeof number !== 'number' || !Number.isFinite(number)) return false;
  return least === undefined ? number > 0 : Number.isSafeInteger(number) && number >= least;
}

/** Throws `OptionsError` at the first wrong or unknown option. */
export function checkServerOptions(owner: string, options: unknown): void {
  check(owner, '', server(), options);
  const { minBatchSize, maxBatchSize } = options as { minBatchSize?: number | null; maxBatchSize?: number | null };
  if (minBatchSize != null && minBatchSize > (maxBatchSize ?? 8192)) {
    throw optionsError(owner, 'minBatchSize', `at most maxBatchSize, which is ${maxBatchSize ?? 8192}`, minBatchSize);
  }
}
