import * as z from 'zod/mini';
import { type RetryOptions, parseRetry } from './retry.js';
import { checkVerbOptions } from './verbs.js';
import {
  once,
  expects,
  isNumber,
  count,
  positive,
  milliseconds,
  delay,
  flag,
  hook,
  oneOf,
  clock,
  check,
  isPlainObject,
  optionsError,
} from './check.js';

const serving = /* @__PURE__ */ once(() =>
  z.strictObject({
    handleBatch: hook,
    init: hook,
    batchSize: count,
    batchTimeout: delay,
    maxBatchWeight: positive,
    weigh: hook,
    partitions: expects<unknown>(
      'a positive whole number, Infinity, or { count, worker: url }',
      (value) => isPlainObject(value) || value === Infinity || (Number.isSafeInteger(value) && Number(value) >= 1),
    ),
    mapInputs: hook,
    mapResults: hook,
    hooks: expects<unknown>('a list of names, none of them twice', (value) => {
      const isName = (name: unknown): boolean => typeof name === 'string' && name !== '';
      return Array.isArray(value) && value.every(isName) && new Set(value).size === value.length;
    }),
    keepCallsWhole: flag,
    handlerTimeout: milliseconds,
    retry: expects<unknown>('false or an object', (value) => value === false || isPlainObject(value)),
    maxPending: count,
    overflow: oneOf('wait', 'reject', 'dropNewest', 'dropOldest'),
    runtimeOptions: z.optional(z.unknown()),
    clock,
    name: expects<string>('a string', (value) => typeof value === 'string'),
  }),
);

const threads = /* @__PURE__ */ once(() =>
  z.strictObject({
    count: expects<number>('a positive whole number', (value) => Number.isSafeInteger(value) && Number(value) >= 1),
    worker: expects<string | URL>('the URL of a module', (value) => {
      const text =
        value instanceof URL || Object.prototype.toString.call(value) === '[object URL]' ? String(value) : value;
      return typeof text === 'string' && /^(file|data|node):/.test(text);
    }),
    execArgv: expects<string[]>('a list of strings', (value) => Array.isArray(value)),
  }),
);

/** Looks at the usual options of a call by hand: a schema costs more than the rest of the call. Throws `OptionsError`. */
export function checkDispatchOptions(options: unknown): void {
  if (options == null) return;
  if (typeof options === 'object') {
    const { signal, timeout } = options as { signal?: unknown; timeout?: unknown };
    const known = Number('signal' in options) + Number('timeout' in options);
    const sound = timeout == null || (isNumber(timeout) && timeout >= 0);
    if (sound && (signal == null || signal instanceof AbortSignal) && Object.keys(options).length <= known) return;
  }
  checkVerbOptions('dispatch', options);
}

const pool = /* @__PURE__ */ once(() => z.strictObject({ idleTimeout: delay, clock }));

/** Throws `OptionsError`. */
export function checkPoolOptions(owner: string, make: unknown, options: unknown): void {
  if (typeof make !== 'function') throw optionsError(owner, 'make', 'a function from key to options', make);
  check(owner, '', pool(), options);
}

/** Throws `OptionsError` at the first wrong or unknown option. */
export function checkServingOptions(owner: string, options: unknown): void {
  check(owner, '', serving(), options);
  const { maxBatchWeight, weigh, hooks, partitions, handleBatch, init, retry } = options as Record<string, unknown>;
  if (isNumber(maxBatchWeight) && maxBatchWeight < Infinity && weigh == null) {
    throw optionsError(owner, 'weigh', 'a function, since maxBatchWeight is set', weigh);
  }
  if (Array.isArray(hooks) && hooks.includes('batch')) {
    throw optionsError(owner, 'hooks', 'names other than batch, which is what results are called', 'batch');
  }
  parseRetry(owner, retry as RetryOptions | false | null | undefined);
  if (!isPlainObject(partitions)) return;
  check(owner, 'partitions.', threads(), partitions);
  const { count: threadCount, worker } = partitions as Record<string, unknown>;
  if (threadCount == null) throw optionsError(owner, 'partitions.count', 'a positive whole number', threadCount);
  if (worker == null) throw optionsError(owner, 'partitions.worker', 'the URL of a module', worker);
  if (handleBatch != null || init != null) {
    const name = handleBatch != null ? 'handleBatch' : 'init';
    throw optionsError(owner, name, 'nothing, since the worker module has it', handleBatch ?? init);
  }
}
