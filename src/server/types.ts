import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { BatchOutcome } from './growth.js';

/** A message that nobody waits for. */
export interface CastOp<Cast> {
  readonly kind: 'cast';
  readonly message: Cast;
}

/** A request whose caller waits for the reply. The first of `reply` and `fail` counts; both may be kept for later. */
export interface CallOp<Request, Reply> {
  readonly kind: 'call';
  readonly request: Request;
  /** Answers the caller, in this batch or a later one. A reply that comes too late is dropped. */
  readonly reply: (value: Awaitable<Reply>) => void;
  /** Answers with an error, which is what the caller's promise rejects with. */
  readonly fail: (error: unknown) => void;
}

/** Any other message. */
export interface InfoOp<Info> {
  readonly kind: 'info';
  readonly message: Info;
}

/** What a batch consists of; a kind whose messages are of type `never` is left out. */
export type Op<Request, Reply, Cast, Info = unknown> =
  | ([Cast] extends [never] ? never : CastOp<Cast>)
  | ([Request] extends [never] ? never : CallOp<Request, Reply>)
  | ([Info] extends [never] ? never : InfoOp<Info>);

/** What a hook may return, besides nothing. A field that is left out or `undefined` asks for nothing. */
export interface Next<State> {
  /** The next state. */
  state?: State | undefined;
  /** Calls `handleContinue` with this before any further message. */
  continue?: unknown;
  /** Stops the server for this reason, after `terminate` with the state as it is now. */
  stop?: unknown;
  /** Collects garbage before the next wait, if Node runs with `--expose-gc`. */
  garbageCollect?: boolean | undefined;
}

/** What was left in the mailbox when the server stopped. */
export interface MailboxSummary<Message> {
  readonly total: number;
  /** The oldest ones, at most `summaryCount`. Calls among them can still be answered. */
  readonly messages: readonly Message[];
}

/** The hooks, all of them methods of the class. Except for `formatStatus` they may be async. To fail, throw. */
export interface BatchServerHooks<State, Request, Reply, Cast, Info> {
  /**
   * Required: makes the state, from what `start` was given. `{ ignore: true }` declines to run, `{ stop: reason }` fails
   * the start.
   */
  init(args: unknown): Awaitable<Next<State> | { ignore: true } | void>;
  /** Required: handles what has gathered. If it fails, the server stops. */
  handleBatch(ops: readonly Op<Request, Reply, Cast, Info>[], state: State): Awaitable<Next<State> | void>;
  /** Goes on after `{ continue: term }`, before any further message. If it fails, the server stops. */
  handleContinue?(term: unknown, state: State): Awaitable<Next<State> | void>;
  /**
   * The last hook: releases what the state holds. After a failure `state` is the one that the failed hook was given. May
   * take 30 s, or what the timeout of `stop` leaves, but at least 1 s; its failure is reported by a warning.
   */
  terminate?(
    reason: unknown,
    state: State,
    mailboxSummary?: MailboxSummary<Op<Request, Reply, Cast, Info>>,
  ): Awaitable<void>;
  /** What `sys.getStatus` shows in place of the state. */
  formatStatus?(state: State): unknown;
}

/** How the batch size limit follows the load: see `batchSizeGrowth`. */
export type BatchSizeGrowth =
  'exponential' | 'fixed' | { aimd: number } | { latency: number } | ((limit: number, outcome: BatchOutcome) => number);

/** Each may be left out or `null`. All times are milliseconds. */
export interface BatchServerOptions {
  /** The lowest batch size limit, and the first one; 32 by default, or `maxBatchSize` if that is smaller. */
  minBatchSize?: number | null | undefined;
  /** The highest batch size limit; 8192 by default. */
  maxBatchSize?: number | null | undefined;
  /**
   * How the limit changes after each batch, from the one in force when the batch was cut.
   *
   * - `'exponential'` (the default): ×2 after a full batch, ÷2 when the mailbox was empty.
   * - `{ aimd: step }`: + step after a full batch, ÷2 when the mailbox was empty.
   * - `{ latency: targetMs }`: follows the handler's duration, so that a batch takes at most about `targetMs` at the 95th
   *   percentile.
   * - `'fixed'`: always `maxBatchSize`.
   * - a function: what it returns, within the two bounds. If it fails or returns no number the limit stays.
   */
  batchSizeGrowth?: BatchSizeGrowth | null | undefined;
  /** Gives the handler the newest message first; `false` by default. */
  reversedBatch?: boolean | null | undefined;
  /** `{ summaryCount: n }` tells `terminate` what was left in the mailbox, and the first n of it; `false` by default. */
  flushMailboxOnTerminate?: false | { summaryCount: number } | null | undefined;
  /** The limit is never exceeded, even if that tears a `castBatch` apart; `false` by default. */
  hardLimit?: boolean | null | undefined;
  /** Hard bound on messages that are accepted and not handled; none by default. */
  maxPending?: number | null | undefined;
  /**
   * When `maxPending` is reached: `'wait'` (the default) lets `call` and `sendRequest` wait for room; `'reject'` and
   * `'dropNewest'` turn them away with `OverflowError`; `'dropOldest'` drops the oldest messages that are in no batch yet.
   * `cast`, `castBatch` and `info` never wait: they return `false`, except with `'dropOldest'`.
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  clock?: Clock | null | undefined;
  /** In events, errors, warnings and statistics; the name of the class by default. */
  name?: string | null | undefined;
}

/** The options in force, defaults filled in; `Infinity` is "none". */
export interface BatchServerConfig {
  readonly minBatchSize: number;
  readonly maxBatchSize: number;
  readonly batchSizeGrowth: BatchSizeGrowth;
  readonly reversedBatch: boolean;
  /** `undefined`: no summary. */
  readonly summaryCount: number | undefined;
  readonly hardLimit: boolean;
  readonly maxPending: number;
  readonly overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  readonly name: string;
}

export type BatchServerStatus = 'starting' | 'running' | 'suspended' | 'ignored' | 'stopped';

export type BatchServerEvents = {
  /** With how many messages were left unhandled. */
  stopped: { name: string; reason: unknown; dropped: number };
  /** Messages that were not accepted, or (with `'dropOldest'`) dropped for newer ones. */
  refused: { name: string; kind: 'cast' | 'call' | 'info'; count: number; error: Error };
};

export interface CallOptions {
  /** Milliseconds; 5000 by default, `Infinity` waits. */
  timeout?: number | null | undefined;
  signal?: AbortSignal | null | undefined;
}

export interface StopOptions {
  /** `'drain'` (the default) handles what was accepted; `'reject'` waits only for the batch that runs. */
  pending?: 'drain' | 'reject' | null | undefined;
  /** Milliseconds; none by default. */
  timeout?: number | null | undefined;
}

/** What a trace listener is told; `name` is the server's. */
export type TraceEvent<Request, Reply, Cast, Info> = { readonly name: string } & (
  | { readonly type: 'in'; readonly op: Op<Request, Reply, Cast, Info> }
  | { readonly type: 'out'; readonly reply: Reply }
  | { readonly type: 'out'; readonly error: unknown }
  | { readonly type: 'batch'; readonly size: number; readonly limit: number; readonly duration: number }
);

/** Of a quantity that was measured many times; quantiles are within 2 % of it. 0 when it never was. */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** At every moment `accepted = handled + failed + dropped + pending`. */
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
  /** In a batch that failed, or was given up by `stop`. */
  readonly failed: number;
  /** Accepted, and then left in the mailbox by a stop, or dropped for newer ones. */
  readonly dropped: number;
  /** In the mailbox or in the batch that runs. */
  readonly pending: number;
  /** Never accepted. */
  readonly refused: number;
  /** Calls and requests that wait for a reply. */
  readonly unanswered: number;
  /** Messages per batch. */
  readonly sizes: Distribution;
  /** Milliseconds per batch, its continue chain included. */
  readonly durations: Distribution;
}

/** What `start` needs to know of a subclass. */
export interface Startable {
  init(args: never): unknown;
}

/** What `start` takes: the argument of `init`, which may be left out if `init` can do without. */
export type StartArguments<Init extends (args: never) => unknown> =
  Parameters<Init> extends []
    ? [args?: undefined, options?: BatchServerOptions]
    : Parameters<Init> extends [infer Args]
      ? unknown extends Args
        ? [args?: Args, options?: BatchServerOptions]
        : [args: Args, options?: BatchServerOptions]
      : [args?: Parameters<Init>[0], options?: BatchServerOptions];
