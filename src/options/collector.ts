import * as z from 'zod/mini';
import {
  once,
  expects,
  isNumber,
  count,
  positive,
  milliseconds,
  fraction,
  flag,
  hook,
  oneOf,
  clock,
  check,
  readOptions,
  isPlainObject,
  optionsError,
} from './check.js';

const collector = /* @__PURE__ */ once(() =>
  z.strictObject({
    maxBatchSize: count,
    maxBatchWeight: positive,
    weigh: hook,
    maxTimeSinceFirstItem: milliseconds,
    maxTimeSinceLastItem: milliseconds,
    maxTimeSinceLastFlush: milliseconds,
    flushInterval: milliseconds,
    flushJitter: fraction,
    flushConcurrency: count,
    flushTimeout: milliseconds,
    retry: expects<unknown>('false or an object', (value) => value === false || isPlainObject(value)),
    giveUp: oneOf('hold', 'drop', 'split'),
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
    batchSplit: hook,
    batchDeadLetter: hook,
    batchTerminate: hook,
    shouldFlush: hook,
  }),
);

/** Options that `configure` changes while a collector runs. */
const CHANGEABLE = [
  'maxBatchSize',
  'maxBatchWeight',
  'maxTimeSinceFirstItem',
  'maxTimeSinceLastItem',
  'maxTimeSinceLastFlush',
  'flushInterval',
  'flushJitter',
  'flushConcurrency',
  'flushTimeout',
  'retry',
  'giveUp',
  'highWaterMark',
  'maxPending',
  'overflow',
];

/** A checked copy of the options. Throws `OptionsError` at the first wrong or unknown one. */
export function readCollectorOptions<Options>(owner: string, given: Options): Options {
  const options = readOptions(collector(), given);
  check(owner, '', collector(), options);
  const { maxBatchWeight, weigh } = options as Record<string, unknown>;
  if (isNumber(maxBatchWeight) && maxBatchWeight < Infinity && weigh == null) {
    throw optionsError(owner, 'weigh', 'a function, since maxBatchWeight is set', weigh);
  }
  return options as Options;
}

/** The same for `configure`, which takes some of the options; `weighs`: the collector has a `weigh`. */
export function readChangedOptions<Options>(owner: string, given: Options, weighs: boolean): Options {
  const options = readOptions(collector(), given);
  check(owner, '', collector(), options);
  for (const [name, value] of Object.entries(options as object)) {
    if (!CHANGEABLE.includes(name)) throw optionsError(owner, name, 'nothing: it is fixed from the start', value);
  }
  const { maxBatchWeight } = options as Record<string, unknown>;
  if (isNumber(maxBatchWeight) && maxBatchWeight < Infinity && !weighs) {
    throw optionsError(owner, 'maxBatchWeight', 'nothing, since there is no weigh', maxBatchWeight);
  }
  return options as Options;
}
