export { MemoryBatcher, type MemoryBatch } from './memory-batcher.js';
export * from './file-batcher.js';
export * from './keyed-batcher.js';
export {
  flushOnExit,
  type Closable,
  type Closables,
  type ExitSignal,
  type FlushOnExitOptions,
} from './flush-on-exit.js';
