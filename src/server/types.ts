import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { BatchOutcome } from './growth.js';

/** A message without an answer. */
export interface CastOp<Cast> {
  /** The discriminant of the union `Op`. */
  readonly kind: 'cast';
  /** The argument of `cast`, or an element of that of `castBatch`. */
  readonly message: Cast;
}

/**
 * A request whose caller waits for the reply. The first of `reply` and `fail` counts, also if it was given a promise. Both may
 * be kept without the op, and a copy made by a spread works.
 */
export interface CallOp<Request, Reply> {
  /** The discriminant of the union `Op`. */
  readonly kind: 'call';
  /** The argument of `call` or `sendRequest`. */
  readonly request: Request;
  /** Answers the caller, in this batch or a later one. After the caller's timeout the reply is dropped. */
  readonly reply: (value: Awaitable<Reply>) => void;
  /** Rejects the caller's promise with the error; of a promise, with what it rejects with or resolves to. */
  readonly fail: (error: unknown) => void;
}

/** Any other message. */
export interface InfoOp<Info> {
  /** The discriminant of the union `Op`. */
  readonly kind: 'info';
  /** The argument of `info`. */
  readonly message: Info;
}

/** A message of a batch. A kind whose messages are of type `never` is left out of the union. */
export type Op<Request, Reply, Cast, Info = unknown> =
  | ([Cast] extends [never] ? never : CastOp<Cast>)
  | ([Request] extends [never] ? never : CallOp<Request, Reply>)
  | ([Info] extends [never] ? never : InfoOp<Info>);

/** The result of a hook that returns something. A field that is left out or `undefined` has no effect. */
export interface Next<State> {
  /** The next state. Default: the state stays. */
  state?: State | undefined;
  /** Calls `handleContinue` with this term before any further message. */
  continue?: unknown;
  /** Stops the server for this reason; `terminate` gets the new state. */
  stop?: unknown;
  /** Collects garbage after the batch, if Node runs with `--expose-gc`. */
  garbageCollect?: boolean | undefined;
}

/** The messages that were in the mailbox when the server stopped. */
export interface MailboxSummary<Message> {
  /** How many there were. */
  readonly total: number;
  /** The oldest of them, at most `summaryCount`. Calls can still be answered. */
  readonly messages: readonly Message[];
}

/** The hooks, all of them methods of the class. Except for `formatStatus` they may be async. To fail, throw. */
export interface BatchServerHooks<State, Request, Reply, Cast, Info> {
  /**
   * Required. Makes the state from the `args` of `start`. `{ ignore: true }` declines to run; `{ stop: reason }` makes
   * `start` reject.
   */
  init(args: unknown): Awaitable<Next<State> | { ignore: true } | void>;
  /** Required. Handles a batch. If it fails, the server stops. */
  handleBatch(ops: readonly Op<Request, Reply, Cast, Info>[], state: State): Awaitable<Next<State> | void>;
  /** Called after `{ continue: term }`, before any further message. If it fails, the server stops. */
  handleContinue?(term: unknown, state: State): Awaitable<Next<State> | void>;
  /**
   * Called last, to release what the state holds. After a failure, `state` is the one that the failed hook was given. May
   * take 30 s, or the rest of the timeout of `stop`, but at least 1 s; then
   * that `stop` rejects with `TimeoutError`. Its failure is reported by a warning.
   */
  terminate?(
    reason: unknown,
    state: State,
    mailboxSummary?: MailboxSummary<Op<Request, Reply, Cast, Info>>,
  ): Awaitable<void>;
  /** Returns what `sys.getStatus` shows in place of the state. If it fails, the state is shown. */
  formatStatus?(state: State): unknown;
}

/** How the batch size limit follows the load: see the option `batchSizeGrowth`. */
export type BatchSizeGrowth =
  'exponential' | 'fixed' | { aimd: number } | { latency: number } | ((limit: number, outcome: BatchOutcome) => number);

/** Options of a batch server. `null` counts as left out. All times are in milliseconds. */
export interface BatchServerOptions {
  /**
   * The lowest batch size limit, in messages, and the first one.
   *
   * @default 32, or `maxBatchSize` if that is smaller
   */
  minBatchSize?: number | null | undefined;
  /**
   * The highest batch size limit, in messages. A `castBatch` may exceed it, unless `hardLimit` is set.
   *
   * @default 8192
   */
  maxBatchSize?: number | null | undefined;
  /**
   * How the limit changes after each batch, from the one in force when the batch was cut.
   *
   * - `'exponential'`: ×2 after a full batch, ÷2 when the mailbox was empty.
   * - `{ aimd: step }`: + step after a full batch, ÷2 when the mailbox was empty.
   * - `{ latency: targetMs }`: follows the handler's duration, so that a batch takes at most about `targetMs` at the 95th
   *   percentile.
   * - `'fixed'`: always `maxBatchSize`.
   * - a function: its result, kept within the two bounds. If it throws or returns no number, the limit stays.
   *
   * @default 'exponential'
   */
  batchSizeGrowth?: BatchSizeGrowth | null | undefined;
  /**
   * Gives the handler the newest message first.
   *
   * @default false
   */
  reversedBatch?: boolean | null | undefined;
  /**
   * `{ summaryCount: n }` passes to `terminate` how many messages were left in the mailbox, and the oldest n of them.
   *
   * @default false
   */
  flushMailboxOnTerminate?: false | { summaryCount: number } | null | undefined;
  /**
   * No batch exceeds the limit, even if that splits a `castBatch`.
   *
   * @default false
   */
  hardLimit?: boolean | null | undefined;
  /**
   * Hard bound on the messages that are accepted and not handled.
   *
   * @default Infinity
   */
  maxPending?: number | null | undefined;
  /**
   * The policy when `maxPending` is reached: with `'wait'`, `call` and `sendRequest` wait for room, first come, first
   * served; `'reject'` and `'dropNewest'` reject them with `OverflowError`; `'dropOldest'` drops the oldest messages that are
   * in no batch yet. `cast`, `castBatch` and `info` never wait: they return `false`, except with `'dropOldest'`.
   *
   * @default 'wait'
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  /**
   * The source of time for timeouts and durations.
   *
   * @default the system's clock
   */
  clock?: Clock | null | undefined;
  /**
   * Name in events, errors, warnings and statistics.
   *
   * @default the name of the class
   */
  name?: string | null | undefined;
}

/** The options in force. */
export interface BatchServerConfig {
  /** The lowest batch size limit, in messages. */
  readonly minBatchSize: number;
  /** The highest batch size limit, in messages. */
  readonly maxBatchSize: number;
  /** How the limit follows the load. */
  readonly batchSizeGrowth: BatchSizeGrowth;
  /** Whether the handler gets the newest message first. */
  readonly reversedBatch: boolean;
  /** `undefined`: `terminate` gets no summary. */
  readonly summaryCount: number | undefined;
  /** Whether a `castBatch` is split where it exceeds the limit. */
  readonly hardLimit: boolean;
  /** Bound on the messages that are accepted and not handled. */
  readonly maxPending: number;
  /** The policy for a message when that bound is reached. */
  readonly overflow: 'wait' | 'reject' | 'dropNewest' | 'dropOldest';
  /** Name in events, errors, warnings and statistics. */
  readonly name: string;
}

/** `'suspended'` is between `sys.suspend` and `sys.resume`; `'ignored'`: `init` declined to run. */
export type BatchServerStatus = 'starting' | 'running' | 'suspended' | 'ignored' | 'stopped';

/** Events, by name, and their payloads. */
export type BatchServerEvents = {
  /** The server has stopped; `dropped` counts the messages that were accepted and in no batch. */
  stopped: { name: string; reason: unknown; dropped: number };
  /** Messages were not accepted, or (with `'dropOldest'`) were dropped for newer ones. */
  refused: { name: string; kind: 'cast' | 'call' | 'info'; count: number; error: Error };
};

/** Options of `call`. */
export interface CallOptions {
  /**
   * Milliseconds after which the call rejects with `TimeoutError`; `Infinity` waits without end.
   *
   * @default 5000
   */
  timeout?: number | null | undefined;
  /** Rejects the call with the signal's reason when it aborts. */
  signal?: AbortSignal | null | undefined;
}

/** Options of `stop` and `close`. */
export interface StopOptions {
  /**
   * `'drain'` handles what was accepted; `'reject'` waits only for the batch that runs.
   *
   * @default 'drain'
   */
  pending?: 'drain' | 'reject' | null | undefined;
  /**
   * Milliseconds after which `stop` gives up what is left.
   *
   * @default Infinity
   */
  timeout?: number | null | undefined;
}

/** The part of a subclass that `start` infers types from. */
export interface Startable {
  /** See `BatchServerHooks.init`. */
  init(args: never): unknown;
}

/** The arguments of `start`: the argument of `init`, which may be left out if `init` allows that, and the options. */
export type StartArguments<Init extends (args: never) => unknown> =
  Parameters<Init> extends []
    ? [args?: undefined, options?: BatchServerOptions]
    : Parameters<Init> extends [infer Args]
      ? unknown extends Args
        ? [args?: Args, options?: BatchServerOptions]
        : [args: Args, options?: BatchServerOptions]
      : [args?: Parameters<Init>[0], options?: BatchServerOptions];
