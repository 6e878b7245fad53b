import type { Awaitable } from '../core/promise.js';
import type { Clock } from '../core/clock.js';
import type { Trigger } from '../core/schedule.js';
import type { RetryOptions } from '../options/retry.js';

/** Sends events to the callers of a batch that read a stream. @throws ClosedError once the batch has ended */
export interface ServingHook {
  /**
   * Sends each caller its slice of the list.
   * @throws ResultCountError unless the list has one payload per value
   */
  each(payloads: readonly unknown[]): void;
  /** Sends the payload to every caller of the batch. */
  all(payload: unknown): void;
}

/** The argument of `init`. */
export interface ServingInit<Runtime = unknown> {
  /** Number of the partition, from 0. */
  readonly partition: number;
  /** The option `runtimeOptions`. */
  readonly runtimeOptions: Runtime;
  /** The state is for `inline` work, and for no partition. */
  readonly inline: boolean;
}

/** The second argument of a handler. */
export interface ServingContext<State = undefined, Hook extends string = never, Runtime = unknown> {
  /** Number of the partition that executes the batch, from 0. */
  readonly partition: number;
  /** The value that `init` returned for this partition. */
  readonly state: State;
  /** Number of values. */
  readonly size: number;
  /** The trigger that cut the batch, the same in every attempt; `'demand'` for `inline` work. */
  readonly reason: Trigger;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /**
   * The latest time of the serving's clock (`performance.now()`; on a worker thread that of the thread), in milliseconds,
   * at which one of the callers still waits; `Infinity` if one waits without end.
   */
  readonly deadline: number;
  /** Aborts at `handlerTimeout`, when no caller of the batch is left, and when `close` gives up. */
  readonly signal: AbortSignal;
  /** One for each name in the option `hooks`. */
  readonly hooks: Readonly<Record<Hook, ServingHook>>;
  /** The option `runtimeOptions`. */
  readonly runtimeOptions: Runtime;
  /** The batch belongs to one `inline` call. */
  readonly inline: boolean;
}

/** Executes a batch: one result for each value, in the same order. An `Error` in a slot fails that value alone. */
export type Handler<In, Out, State = undefined, Hook extends string = never, Runtime = unknown> = (
  values: readonly In[],
  context: ServingContext<State, Hook, Runtime>,
) => Awaitable<readonly (Out | Error)[]>;

/** Options of a serving; each may be left out or `null`. All times are milliseconds. */
export interface ServingOptions<State = undefined, Hook extends string = never, Runtime = unknown> {
  /** Makes the state of a partition, once before its first batch, and again before the next one if it failed. */
  init?: ((context: ServingInit<Runtime>) => Awaitable<State>) | null | undefined;
  /**
   * Values in a batch. A full batch is executed as soon as a partition is idle.
   * @default 1
   */
  batchSize?: number | null | undefined;
  /**
   * How long the first value of a batch waits for others, in milliseconds. Later values do not extend it. With 0 a batch
   * is cut at the end of the event-loop turn, or as soon as a partition is idle. `Infinity`: only by size or `flush()`.
   * @default 100
   */
  batchTimeout?: number | null | undefined;
  /**
   * Sum of the weights in a batch. A value that does not fit cuts the batch first; a single heavier one goes alone. Needs
   * `weigh`.
   * @default Infinity
   */
  maxBatchWeight?: number | null | undefined;
  /** Returns the weight of a value, as the handler gets it. If it throws, the call is rejected with `ItemError`. */
  weigh?: ((value: never) => number) | null | undefined;
  /**
   * Batches executed at the same time; `Infinity` is allowed. With `worker`, the URL of a module that exports
   * `handleBatch` and may export `init`, each partition runs on a thread of its own, with `execArgv` as its Node options.
   * @default 1
   */
  partitions?:
    number | { count: number; worker: string | URL; execArgv?: readonly string[] | undefined } | null | undefined;
  /**
   * Names under which the handler may send events to readers of streams; not `'batch'`.
   * @default []
   */
  hooks?: readonly Hook[] | null | undefined;
  /**
   * A call that fits into one batch is not split over two.
   * @default false; true with `hooks`
   */
  keepCallsWhole?: boolean | null | undefined;
  /**
   * An attempt (`init` and handler) that takes longer, in milliseconds, fails with `TimeoutError`; `inline` work too.
   * @default Infinity
   */
  handlerTimeout?: number | null | undefined;
  /**
   * How a batch that failed is executed again, as a whole; `inline` work too. Without it callers get the error at once.
   * @default false
   */
  retry?: RetryOptions | false | null | undefined;
  /**
   * Hard bound on values that are accepted and not settled.
   * @default Infinity
   */
  maxPending?: number | null | undefined;
  /**
   * A call that would exceed `maxPending`: `'wait'` lets it wait for room, `'reject'` and `'dropNewest'` reject it,
   * `'dropOldest'` rejects the oldest calls that are not executing, if that makes room; all with `OverflowError`. A call
   * larger than `maxPending` enters in pieces with `'wait'`, and is rejected otherwise. Values that are pulled from an
   * async iterable always wait, and hold at most half of the room.
   * @default 'wait'
   */
  overflow?: 'wait' | 'reject' | 'dropNewest' | 'dropOldest' | null | undefined;
  /** Passed to every handler and `init` as it is. */
  runtimeOptions?: Runtime | null | undefined;
  /**
   * Where the serving gets its time from.
   * @default the system's clock
   */
  clock?: Clock | null | undefined;
  /**
   * Name in messages of errors.
   * @default the name of the class
   */
  name?: string | null | undefined;
}

type Absent = null | undefined;

/** Options of a serving whose handler gets the callers' values and returns their results. */
export interface PlainOptions<In, Out, State, Hook extends string, Runtime> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Required here, in a subclass or in a worker module. */
  handleBatch?: Handler<In, Out, State, Hook, Runtime> | Absent;
  /** Left out: the handler gets the callers' values. */
  mapInputs?: Absent;
  /** Left out: callers get the handler's results. */
  mapResults?: Absent;
}

/** Options of a serving that maps values before the handler gets them. */
export interface MapsInputs<In, Out, State, Hook extends string, Runtime, Mapped> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Maps the values of a call, or one that is pulled, to those that the handler gets. Its argument is always a list. */
  mapInputs: (values: readonly In[]) => Awaitable<readonly Mapped[]>;
  /** Required here, in a subclass or in a worker module. */
  handleBatch?: Handler<Mapped, Out, State, Hook, Runtime> | Absent;
  /** Left out: callers get the handler's results. */
  mapResults?: Absent;
}

/** Options of a serving that maps the handler's results before callers get them. */
export interface MapsResults<In, Out, State, Hook extends string, Runtime, Raw> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Left out: the handler gets the callers' values. */
  mapInputs?: Absent;
  /** Required here, in a subclass or in a worker module. */
  handleBatch?: Handler<In, Raw, State, Hook, Runtime> | Absent;
  /** Maps the results of a call, or of a part of a stream, to what the caller gets. Its argument is always a list. */
  mapResults: (results: readonly Raw[]) => Awaitable<readonly Out[]>;
}

/** Options of a serving that maps both values and results. */
export interface MapsBoth<In, Out, State, Hook extends string, Runtime, Mapped, Raw> extends ServingOptions<
  State,
  Hook,
  Runtime
> {
  /** Maps the values of a call, or one that is pulled, to those that the handler gets. Its argument is always a list. */
  mapInputs: (values: readonly In[]) => Awaitable<readonly Mapped[]>;
  /** Required here, in a subclass or in a worker module. */
  handleBatch?: Handler<Mapped, Raw, State, Hook, Runtime> | Absent;
  /** Maps the results of a call, or of a part of a stream, to what the caller gets. Its argument is always a list. */
  mapResults: (results: readonly Raw[]) => Awaitable<readonly Out[]>;
}

/** Options of `dispatch`, `dispatchMany`, `settleMany`, their `try` forms and `stream`. */
export interface DispatchOptions {
  /** Aborting rejects the call with the signal's reason, and takes its values out of batches that have not started. */
  signal?: AbortSignal | null | undefined;
  /**
   * Milliseconds after which the call is rejected with `TimeoutError`, and its values are taken out likewise.
   * @default Infinity
   */
  timeout?: number | null | undefined;
}

/** The result of `tryDispatch`: a value or an error. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; error: unknown };

/** An element of a stream: the results of one part of the call, or the payload of a hook. */
export type StreamEvent<Out, Hook extends string = never> =
  { type: 'batch'; output: Out[] } | (Hook extends string ? { type: Hook; payload: unknown } : never);

/** A list, another iterable, or an async iterable; not a string, which would be dispatched letter by letter. */
export type Values<In> = (Iterable<In> & object) | AsyncIterable<In>;

/** Options of `close`. */
export interface ServingCloseOptions {
  /**
   * Milliseconds after which `close` gives up and rejects with `CloseError`.
   * @default 30_000
   */
  timeout?: number | null | undefined;
  /**
   * `'drain'` executes what was accepted, `'reject'` fails it with `ClosedError`.
   * @default 'drain'
   */
  pending?: 'drain' | 'reject' | null | undefined;
}

export type * from './state-types.js';
