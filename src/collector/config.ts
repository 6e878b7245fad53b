import type { Limits } from '../core/schedule.js';
import { type RetryOptions, parseRetry } from '../options/retry.js';
import type { BatchPleaseConfig, BatchPleaseOptions, ChangeableOptions } from './types.js';

/** The options in force, defaults filled in. */
export function configOf<Item, Batch>(owner: string, options: BatchPleaseOptions<Item, Batch>): BatchPleaseConfig {
  return Object.freeze({
    maxBatchSize: options.maxBatchSize ?? Infinity,
    maxBatchWeight: options.maxBatchWeight ?? Infinity,
    maxTimeSinceFirstItem: options.maxTimeSinceFirstItem ?? Infinity,
    maxTimeSinceLastItem: options.maxTimeSinceLastItem ?? Infinity,
    maxTimeSinceLastFlush: options.maxTimeSinceLastFlush ?? Infinity,
    flushInterval: options.flushInterval ?? Infinity,
    flushJitter: options.flushJitter ?? 0,
    flushConcurrency: options.flushConcurrency ?? 1,
    flushTimeout: options.flushTimeout ?? Infinity,
    retry: Object.freeze(parseRetry(owner, options.retry)),
    giveUp: options.giveUp ?? 'hold',
    highWaterMark: options.highWaterMark ?? Infinity,
    maxPending: options.maxPending ?? Infinity,
    overflow: options.overflow ?? 'wait',
    unref: options.unref ?? false,
  });
}

export function limitsOf(config: BatchPleaseConfig): Limits {
  return {
    size: config.maxBatchSize,
    weight: config.maxBatchWeight,
    age: config.maxTimeSinceFirstItem,
    idle: config.maxTimeSinceLastItem,
    sinceFlush: config.maxTimeSinceLastFlush,
    interval: config.flushInterval,
    jitter: config.flushJitter,
    lanes: config.flushConcurrency,
    attempt: config.flushTimeout,
  };
}

/** The same with some options changed. */
export function changedConfig(
  owner: string,
  { retry, ...rest }: BatchPleaseConfig,
  changed: ChangeableOptions,
): BatchPleaseConfig {
  return configOf(owner, { ...rest, retry: retry as RetryOptions, ...changed });
}
