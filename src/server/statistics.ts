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
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Counts since the start. At every moment `accepted = handled + failed + dropped + pending`. */
export interface BatchServerStatistics {
  readonly name: string;
  readonly status: BatchServerStatus;
  /** The batch size limit in force. */
  readonly limit: number;
  readonly batches: number;
  /** Messages handled. */
  readonly ops: number;
  readonly accepted: number;
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
