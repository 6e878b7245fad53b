import type { BatchServerStatus, Op } from './types.js';

/** Passed to a trace listener; `name` is the server's. */
export type TraceEvent<Request, Reply, Cast, Info> = { readonly name: string } & (
  | { readonly type: 'in'; readonly op: Op<Request, Reply, Cast, Info> }
  | { readonly type: 'out'; readonly reply: Reply }
  | { readonly type: 'out'; readonly error: unknown }
  | { readonly type: 'batch'; readonly size: number; readonly limit: number; readonly duration: number }
);

/** Distribution of a measured quantity. Quantiles are exact to 2 %. All fields are 0 without a measurement. */
export interface Distribution {
  /** Measurements. */
  readonly count: number;
  /** The smallest one. */
  readonly min: number;
  /** The largest one. */
  readonly max: number;
  /** Their arithmetic mean. */
  readonly mean: number;
  /** The median. */
  readonly p50: number;
  /** The 95th percentile. */
  readonly p95: number;
  /** The 99th percentile. */
  readonly p99: number;
}

/** Counts since the start. At every moment `accepted = handled + failed + dropped + pending`. */
export interface BatchServerStatistics {
  /** The option `name`. */
  readonly name: string;
  /** The server's `status`. */
  readonly status: BatchServerStatus;
  /** The batch size limit in force. */
  readonly limit: number;
  /** Batches handled, the failed one included. */
  readonly batches: number;
  /** Messages handled; the same number as `handled`. */
  readonly ops: number;
  /** Messages accepted. */
  readonly accepted: number;
  /** Messages in a batch whose handler has returned. */
  readonly handled: number;
  /** Messages in a batch that failed, or that `stop` gave up. */
  readonly failed: number;
  /** Messages that were accepted and then left in the mailbox by a stop, or dropped for newer ones. */
  readonly dropped: number;
  /** Messages in the mailbox or in the batch that runs. */
  readonly pending: number;
  /** Messages that were not accepted. */
  readonly refused: number;
  /** Calls and requests that wait for a reply. */
  readonly unanswered: number;
  /** Messages per batch. */
  readonly sizes: Distribution;
  /** Milliseconds per batch, its continue chain included. */
  readonly durations: Distribution;
}
