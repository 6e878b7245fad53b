export { BatchPlease } from './batch-please.js';
export type * from './batch-contract.js';
export type { RetryOptions } from './options.js';
export type { Awaitable } from './kernel/awaitable.js';
export type { Clock } from './kernel/clock.js';
export type { Trigger } from './kernel/ledger.js';
export * from './errors.js';
