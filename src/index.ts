export { BatchPlease } from './batch-please.js';
export type * from './batch-contract.js';
export { BatchServing } from './batch-serving.js';
export type * from './batch-serving-contract.js';
export { servingPool } from './batch-serving-pool.js';
export type { ServingPool, ServingPoolOptions } from './batch-serving-pool.js';
export { BatchServer } from './batch-server.js';
export type * from './batch-server-contract.js';
export { RequestCollection } from './batch-server-requests.js';
export type { Answer, Labelled, RequestId, Wait } from './batch-server-requests.js';
export type { ServerStatus, Sys } from './batch-server-sys.js';
export type { BatchOutcome } from './kernel/growth.js';
export type { RetryOptions } from './options.js';
export type { Awaitable } from './kernel/awaitable.js';
export type { Clock } from './kernel/clock.js';
export type { Trigger } from './kernel/ledger.js';
export {
  BatchError,
  OptionsError,
  MissingHookError,
  ClosedError,
  OverflowError,
  ItemError,
  FlushError,
  TimeoutError,
  ResultCountError,
  StoppedError,
  CloseError,
  StorageError,
  LockedError,
} from './errors.js';
