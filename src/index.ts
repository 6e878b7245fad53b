export { BatchPlease } from './collector/batch-please.js';
export { STORAGE } from './collector/parts.js';
export type * from './collector/types.js';
export { BatchServing } from './serving/batch-serving.js';
export type * from './serving/types.js';
export { servingPool } from './serving/pool.js';
export type { ServingPool, ServingPoolOptions } from './serving/pool.js';
export { BatchServer } from './server/batch-server.js';
export type * from './server/types.js';
export type * from './server/statistics.js';
export { RequestCollection } from './server/collection.js';
export type { Answer, Labelled, RequestId, Wait } from './server/requests.js';
export type { ServerStatus, Sys } from './server/sys.js';
export type { BatchOutcome } from './server/growth.js';
export type { FailedAttempt, RetryOptions } from './options/retry.js';
export type { Awaitable } from './core/promise.js';
export type { Clock } from './core/clock.js';
export type { Trigger } from './core/schedule.js';
export {
  BatchError,
  OptionsError,
  MissingHookError,
  ClosedError,
  ClearedError,
  PartialFlushError,
  TooLargeError,
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
