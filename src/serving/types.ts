import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Trigger } from '../core/schedule.js';
import type { RetryOptions } from '../options/retry.js';

/** Sends something to the callers of a batch that read their results as a stream. Ends with its batch: after it, it throws. */
export interface ServingHook {
  /** To each caller its slice of a list with one payload per value; another length throws `ResultCountError`. */
  each(payloads: readonly unknown[]): void;
  /** The same payload to every caller of the batch. */
  all(payload: unknown): void;
}

/** What `init` is told. */
export interface ServingInit<Runtime = unknown> {
  /** From 0. */
  readonly partition: number;
  readonly runtimeOptions: Runtime;
  /** The state is for work in the caller, and for no partition. */
  readonly inline: boolean;
}

/** What a handler is told about its batch. */
export interface ServingContext<State = undefined, Hook extends string = never, Runtime = unknown> {
  /** Where the batch runs, from 0. */
  readonly partition: number;
  /** What `init` returned for this partition. */
  readonly state: State;
  /** Values. */
  readonly size: number;
  /** The trigger that cut the batch, the same in every attempt; `'demand'` for work in the caller. */
  readonly reason: Trigger;
  /** From 1. */
  readonly attempt: number;
  /**
   * The latest time of the serving's clock (`performance.now()`; on a worker thread that of the thread) at which one of the
   * callers still waits; `Infinity` if one waits without end.
   */
  readonly deadline: number;
  /** Aborts at `handlerTimeout`, when no caller of the batch is left, and when `close` gives up. */
  readonly signal: AbortSignal;
  /** One for each name in the option `hooks`. */
  readonly hooks: Readonly<Record<Hook, ServingHook>>;
  readonly runtimeOptions: Runtime;
  /** It is executed in the caller, without others. */
  readonly inline: boolean;
}

/** Executes a batch: one result for each value, in the same order. An `Error` in a slot fails that value alone. */
export type Handler<In, Out, State = undefined, Hook extends string = never, Runtime = unknown> = (
  values: readonly In[],
  context: ServingContext<State, Hook, Runtime>,
) => Awaitable<readonly (Out | Error)[]>;

/** Each may be left out or `null`. All times are milliseconds. */
export interface ServingOptions<State = undefined, Hook extends string = never, Runtime = unknown> {
  /** Makes the state of a partition, once, before its first batch; again before the next one if it failed. */
  init?: ((context: ServingInit<Runtime>) => Awaitable<State>) | null | undefined;
  /** Values; a full batch goes at once. 1 by default. */
  batchSize?: number | null | undefined;
  /**
   * How long the first value of a batch waits for others, 100 by default; never extended by later ones. 0: until the
   * event loop turns, so that batches grow only under load. While every partition is busy, the batch goes on growing.
   */
  batchTimeout?: number | null | undefined;
  /** The sum of weights. A value that does not fit closes the batch first; a single heavier one goes alone. */
  maxBatchWeight?: number | null | undefined;
  /** The weight of a value, as the handler gets it. If it throws, the call is rejected with `ItemError`. */
  weigh?: ((value: never) => number) | null | undefined;
  /**
   * Batches executed at the same time, 1 by default. With `worker`, the URL of a module that exports `handleBatch`, each
   * on a thread of its own; that takes the package `piscina`.
   */
  partitions?:
    number | { count: number; worker: string | URL; execArgv?: readonly string[] | undefined } | null | undefined;
  /** Names under which the handler may send events to those who read streams. `batch` is none. */
  hooks?: readonly Hook[] | null | undefined;
  /** A call that fits into one batch is not split over two; `false` by default, `true` with `hooks`. */
  keepCallsWhole?: boolean | null | undefined;
  /** An attempt (init and handler) that takes longer fails with `TimeoutError`, in the caller too. None by default. */
  handlerTimeout?: number | null | undefined;
  /** How a batch that failed is executed again, as a whole, in the caller too. By default it is not: callers get the error. */
  retry?: RetryOptions | false | null | undefined;
  /** Hard bound on values that are accepted and not settled; none by default. */
  maxPending?: number | null | undefined;
  /**
   * A call that would exceed `maxPending`: `'wait'` (the default) lets it wait for room, `'reject'` and `'dropNewest'` reject
   * it, `'dropOldest'` rejects the oldest ones that are not yet executing, if that makes room; all with `OverflowError`.
   * A call larger than `maxPending` goes in piece by piece with `'wait'`, and is rejected otherwise.
   * Values that are pulled from an async iterable always wait.
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  /** Handed to every handler and `init` as it is. */
  runtimeOptions?: Runtime | null | undefined;
  clock?: Clock | null | undefined;
  /** In messages of errors; the name of the class by default. */
  name?: string | null | undefined;
}

type Absent = null | undefined;

export interface PlainOptions<In, Out, State, Hook extends string, Runtime> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Required here, in a subclass or in a worker module. */
  handleBatch?: Handler<In, Out, State, Hook, Runtime> | Absent;
  mapInputs?: Absent;
  mapResults?: Absent;
}

export interface MapsInputs<In, Out, State, Hook extends string, Runtime, Mapped> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Makes of the values of a call, or of one that is pulled, those that the handler gets. Always sees a list. */
  mapInputs: (values: readonly In[]) => Awaitable<readonly Mapped[]>;
  handleBatch?: Handler<Mapped, Out, State, Hook, Runtime> | Absent;
  mapResults?: Absent;
}

export interface MapsResults<In, Out, State, Hook extends string, Runtime, Raw> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  mapInputs?: Absent;
  handleBatch?: Handler<In, Raw, State, Hook, Runtime> | Absent;
  /** Makes of the results of a call, or of a part of a stream, what the caller gets. Always sees a list. */
  mapResults: (results: readonly Raw[]) => Awaitable<readonly Out[]>;
}

export interface MapsBoth<In, Out, State, Hook extends string, Runtime, Mapped, Raw> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Makes of the values of a call, or of one that is pulled, those that the handler gets. Always sees a list. */
  mapInputs: (values: readonly In[]) => Awaitable<readonly Mapped[]>;
  handleBatch?: Handler<Mapped, Raw, State, Hook, Runtime> | Absent;
  /** Makes of the results of a call, or of a part of a stream, what the caller gets. Always sees a list. */
  mapResults: (results: readonly Raw[]) => Awaitable<readonly Out[]>;
}

export interface DispatchOptions {
  /** Aborting rejects the call with the signal's reason, and takes its values out of batches that have not started. */
  signal?: AbortSignal | null | undefined;
  /** Milliseconds, after which the same happens with a `TimeoutError`; none by default. */
  timeout?: number | null | undefined;
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: unknown };

/** What a stream yields: results, as parts of the call finish, and what hooks were sent. */
export type StreamEvent<Out, Hook extends string = never> =
  { type: 'batch'; output: Out[] } | (Hook extends string ? { type: Hook; payload: unknown } : never);

/** A list, another iterable, or an async iterable. A string is none: it would be dispatched letter by letter. */
export type Values<In> = (Iterable<In> & object) | AsyncIterable<In>;

export interface ServingCloseOptions {
  /** Milliseconds; 30,000 by default. */
  timeout?: number | null | undefined;
  /** `'drain'` (the default) executes what was accepted, `'reject'` fails it with `ClosedError`. */
  pending?: 'drain' | 'reject' | null | undefined;
}

export interface ServingBatchInfo {
  partition: number;
  /** Values. */
  size: number;
  reason: Trigger;
  attempt: number;
  /** Milliseconds. */
  duration: number;
  /** Calls with a part in the batch. */
  calls: number;
}

export type ServingEvents = {
  executed: ServingBatchInfo;
  /** An attempt failed; it is repeated at `retryAt`, of the serving's clock, or not at all (`Infinity`). */
  failed: ServingBatchInfo & { error: unknown; retryAt: number };
  /** With the number of values that were not executed, if any. */
  closed: { undelivered: number };
};

/** A live view; at every moment `values = delivered + failed + aborted + pending`. */
export interface ServingState {
  /** Values accepted and not settled. Those that `mapInputs` still has are not accepted yet. */
  readonly pending: number;
  /** Batches being executed. */
  readonly running: number;
  readonly counts: {
    readonly calls: number;
    readonly values: number;
    /** Batches executed. */
    readonly batches: number;
    readonly delivered: number;
    readonly failed: number;
    /** Of callers who gave up. */
    readonly aborted: number;
  };
}
