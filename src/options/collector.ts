import * as z from 'zod/mini';
import {
  once,
  expects,
  isNumber,
  count,
  lanes,
  positive,
  milliseconds,
  fraction,
  flag,
  hook,
  oneOf,
  clock,
  check,
  isPlainObject,
  optionsError,
} from './check.js';

const collector = /* @__PURE__ */ once(() =>
  z.strictObject({
    maxBatchSize: count,
    maxBatchWeight: positive,
    weigh: hook,
    maxTimeSinceFirstItem: milliseconds,
    maxTimeSinceLastFlush: milliseconds,
    flushInterval: milliseconds,
    flushJitter: fraction,
    flushConcurrency: lanes,
    flushTimeout: milliseconds,
    retry: expects<unknown>('false or an object', (value) => value === false || isPlainObject(value)),
    giveUp: oneOf('hold', 'drop'),
    highWaterMark: positive,
    maxPending: count,
    overflow: oneOf('wait', 'reject', 'dropNewest', 'dropOldest'),
    unref: flag,
    clock,
    batchInit: hook,
    batchAddItem: hook,
    batchAddItems: hook,
    batchId: hook,
    batchPreFlush: hook,
    batchFlush: hook,
    batchPostFlush: hook,
    batchDeadLetter: hook,
    batchTerminate: hook,
    shouldFlush: hook,
  }),
);

/** Throws `OptionsError` at the first wrong or unknown option. */
export function checkCollectorOptions(owner: string, options: unknown): void {
  check(owner, '', collector(), options);
  const { maxBatchWeight, weigh } = options as Record<string, unknown>;
  if (isNumber(maxBatchWeight) && maxBatchWeight < Infinity && weigh == null) {
    throw optionsError(owner, 'weigh', 'a function, since maxBatchWeight is set', weigh);
  }
}
