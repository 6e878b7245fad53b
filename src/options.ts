import * as z from 'zod/mini';
import type { Clock } from './kernel/clock.js';
import { OptionsError } from './errors.js';

/**
 * Built when it is first asked for. This and the marks for bundlers keep the schemas of a family that is not used out
 * of the bundle.
 */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Null and undefined both mean "left out". */
function expects<T>(expected: string, test: (value: unknown) => boolean): z.ZodMiniType<T | null | undefined> {
  return z.optional(z.custom<T | null>((value) => value === null || test(value), expected));
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);

const count = /* @__PURE__ */ expects<number>(
  'a positive whole number',
  (value) => isNumber(value) && value >= 1 && (Number.isSafeInteger(value) || value === Infinity),
);
const lanes = /* @__PURE__ */ expects<number>(
  'a positive whole number',
  (value) => Number.isSafeInteger(value) && Number(value) >= 1,
);
const positive = /* @__PURE__ */ expects<number>('a positive number', (value) => isNumber(value) && value > 0);
const milliseconds = /* @__PURE__ */ expects<number>(
  'a positive number of milliseconds',
  (value) => isNumber(value) && value > 0,
);
const delay = /* @__PURE__ */ expects<number>(
  'a number of milliseconds from 0 up',
  (value) => isNumber(value) && value >= 0,
);
const fraction = /* @__PURE__ */ expects<number>(
  'a number from 0 to 1',
  (value) => isNumber(value) && value >= 0 && value <= 1,
);
const factor = /* @__PURE__ */ expects<number>(
  'a number from 1 up',
  (value) => isNumber(value) && value >= 1 && value < Infinity,
);
const flag = /* @__PURE__ */ expects<boolean>('true or false', (value) => typeof value === 'boolean');
const hook = /* @__PURE__ */ expects<never>('a function', (value) => typeof value === 'function');

function oneOf<T extends string>(...values: T[]): z.ZodMiniType<T | null | undefined> {
  const expected = values.map((value) => `'${value}'`).join(', ');
  return expects<T>(`one of ${expected}`, (value) => (values as unknown[]).includes(value));
}

const CLOCK_METHODS = ['now', 'setTimer', 'clearTimer'] as const;
const clock = /* @__PURE__ */ expects<Clock>('a clock with now, setTimer and clearTimer', (value) =>
  CLOCK_METHODS.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
);

const retryFields = /* @__PURE__ */ once(() =>
  z.strictObject({
    attempts: count,
    minDelay: delay,
    maxDelay: delay,
    factor,
    jitter: flag,
  }),
);

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

const signal = /* @__PURE__ */ expects<AbortSignal>(
  'an AbortSignal',
  (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
);

const verbs = /* @__PURE__ */ once(() => ({
  flush: z.strictObject({ signal, timeout: delay }),
  close: z.strictObject({ timeout: delay, flush: flag }),
  call: z.strictObject({ signal, timeout: delay }),
  dispatch: z.strictObject({ signal, timeout: delay }),
  stop: z.strictObject({ timeout: delay, pending: oneOf('drain', 'reject') }),
  wait: z.strictObject({ delete: flag }),
  check: z.strictObject({ delete: flag }),
}));

/** Throws `OptionsError` if the options of a call are wrong or unknown. */
export function checkVerbOptions(verb: keyof ReturnType<typeof verbs>, options: unknown): void {
  if (options != null) check(verb, '', verbs()[verb], options);
}

const serving = /* @__PURE__ */ once(() =>
  z.strictObject({
    handleBatch: hook,
    init: hook,
    batchSize: count,
    batchTimeout: delay,
    maxBatchWeight: positive,
    weigh: hook,
    partitions: expects<unknown>(
      'a positive whole number, or { count, worker: url }',
      (value) => isPlainObject(value) || (Number.isSafeInteger(value) && Number(value) >= 1),
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

/** How the limit of a batch server grows; what the function is told is the kernel's business. */
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

/** A call's options are looked at by hand first: a schema costs as much as the rest of the call. */
export function checkCallOptions(options: unknown): void {
  if (options === undefined) return;
  if (isPlainObject(options)) {
    const { timeout } = options as { timeout?: unknown };
    if (isNumber(timeout) && timeout >= 0 && Object.keys(options as object).length === 1) return;
  }
  checkVerbOptions('call', options);
}

/** Throws `OptionsError` unless it is a number of milliseconds from 0 up, or a moment. */
export function checkWait(timeout: unknown): void {
  if (isNumber(timeout) && timeout >= 0) return;
  if (isPlainObject(timeout) && isNumber((timeout as { at?: unknown }).at)) return;
  throw optionsError('wait', 'timeout', 'a number of milliseconds from 0 up, or { at: clock time }', timeout);
}

function check(owner: string, prefix: string, schema: z.ZodMiniType, given: unknown): void {
  const result = schema.safeParse(given);
  if (result.success) return;
  const issue = result.error.issues[0];
  if (issue?.code === 'unrecognized_keys') {
    const option = prefix + String(issue.keys[0]);
    const value = (given as Record<string, unknown>)[String(issue.keys[0])];
    const message = `${owner}: there is no option ${option}, given ${show(value)}`;
    throw new OptionsError(message, option, 'no such option', value);
  }
  const option = prefix + (issue?.path ?? []).join('.');
  const value = issue?.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], given) ?? given;
  if (option === prefix) throw optionsError(owner, 'options', 'an object', given);
  throw optionsError(owner, option, issue?.message ?? 'another value', value);
}

export function optionsError(owner: string, option: string, expected: string, given: unknown): OptionsError {
  return new OptionsError(`${owner}: ${option}: expected ${expected}, given ${show(given)}`, option, expected, given);
}

function show(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'string')
    return `${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)} (string)`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return `${String(value)} (${typeof value})`;
  }
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
