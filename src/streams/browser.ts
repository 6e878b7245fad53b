export { batched } from './batched.js';
export type { BatchedOptions } from './options.js';
export type { Batchable } from './source.js';
export type { StreamCollector } from './collector.js';
export { toWritableStream } from './writable-stream.js';
