import type {
  DispatchOptions,
  Handler,
  MapsBoth,
  MapsInputs,
  MapsResults,
  Outcome,
  PlainOptions,
  ServingCloseOptions,
  ServingContext,
  ServingEvents,
  ServingInit,
  ServingState,
  StreamEvent,
  Values,
} from './types.js';
import { ServingCore } from './core.js';
import { inlineMany, inlineStream } from './inline.js';
import type { Channel } from './channel.js';
import type { Listener } from '../events.js';
import type { Awaitable } from '../core/promise.js';
import { checkServingOptions } from '../options/serving.js';
import { countResults } from './partitions.js';

/** The part of a serving that pools look at. */
type Used = Pick<ServingCore, 'busy' | 'closed'>;

const SERVINGS = Symbol.for('batch-please.servings');

/**
 * Shared by all copies of the package in the process (one imported, one required): the pool of one may hold servings of
 * another.
 * No static block of the class, which would keep it in bundles that do not use it.
 */
const servings = /* @__PURE__ */ servingsOfProcess();

function servingsOfProcess(): WeakMap<object, Used> {
  const shared = globalThis as { [SERVINGS]?: WeakMap<object, Used> };
  return (shared[SERVINGS] ??= new WeakMap());
}

/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging --
   the class declares its hooks by merging with this interface: a subclass may write them, or leave them to the options */
/** The hooks of a serving, as methods of a subclass. */
export interface BatchServing<
  In,
  Out,
  State = undefined,
  Hook extends string = never,
  Runtime = unknown,
  Mapped = In,
  Raw = Out,
> {
  /** Required, here or as an option: executes a batch, with one result for each value, in the same order. */
  handleBatch?(
    values: readonly Mapped[],
    context: ServingContext<State, Hook, Runtime>,
  ): Awaitable<readonly (Raw | Error)[]>;
  /** Makes the state of a partition, once, before its first batch; again before the next one if it failed. */
  init?(context: ServingInit<Runtime>): Awaitable<State>;
}

/**
 * Executes the values of many callers in batches: what arrives close together becomes one batch, and each caller gets the
 * results of its own values. After Elixir's BatchServing.
 *
 * A handler that dispatches to its own serving waits for itself when all partitions are busy. A handler runs in the async
 * context of an arbitrary one of its callers.
 *
 * @example
 * const squares = new BatchServing({ batchSize: 10, handleBatch: (values: number[]) => values.map((v) => v * v) });
 * await squares.dispatch(2); // 4
 */
export class BatchServing<
  In,
  Out,
  State = undefined,
  Hook extends string = never,
  Runtime = unknown,
  Mapped = In,
  Raw = Out,
> {
  readonly #core: ServingCore;

  constructor(options?: PlainOptions<In, Out, State, Hook, Runtime>);
  constructor(options: MapsInputs<In, Out, State, Hook, Runtime, Mapped>);
  constructor(options: MapsResults<In, Out, State, Hook, Runtime, Raw>);
  constructor(options: MapsBoth<In, Out, State, Hook, Runtime, Mapped, Raw>);
  constructor(options: object = {}) {
    const owner = this.constructor.name;
    checkServingOptions(owner, options);
    const hooks = this as unknown as { handleBatch?: Handler<never, unknown>; init?: never };
    this.#core = new ServingCore(owner, options, hooks);
    servings.set(this, this.#core);
  }

  /**
   * Submits one value; a list is one value. Resolves to its result.
   * @throws the error of its slot or batch, `ClosedError`, `OverflowError`, `ItemError`, `TimeoutError`, `OptionsError`,
   * `MissingHookError`, or the reason of `signal`; always as a rejection
   */
  dispatch(value: In, options?: DispatchOptions): Promise<Out> {
    const core = this.#core;
    const rows = core.plain;
    if (options !== undefined || rows === undefined) return core.one(value, options) as Promise<Out>;
    return rows.joinPlain(value) as Promise<Out>;
  }

  /**
   * Submits many values; resolves to the results in their order. A list is read at the call; an async iterable is pulled
   * at most two batches per partition ahead of its results.
   * @throws as `dispatch`, at the first value that fails
   */
  dispatchMany(values: Values<In>, options?: DispatchOptions): Promise<Out[]> {
    return new Promise<unknown[]>((resolveAll, rejectAll) => {
      this.#core.many(resolveAll, rejectAll, values, options, false);
    }) as Promise<Out[]>;
  }

  /**
   * As `dispatchMany`, but each value has an outcome of its own: an error in its slot, a failed batch or a failing
   * `weigh` rejects no other value.
   * @throws only if the call as a whole is refused, times out or is aborted; as a rejection
   */
  settleMany(values: Values<In>, options?: DispatchOptions): Promise<PromiseSettledResult<Out>[]> {
    return new Promise<unknown[]>((resolveAll, rejectAll) => {
      this.#core.many(resolveAll, rejectAll, values, options, true);
    }) as Promise<PromiseSettledResult<Out>[]>;
  }

  /** Cuts the open batch now. Resolves when all values accepted before are settled; never rejects. */
  flush(): Promise<void> {
    return this.#core.flush();
  }

  /** As `dispatch`, but never rejects. */
  tryDispatch(value: In, options?: DispatchOptions): Promise<Outcome<Out>> {
    return outcomeOf(() => this.dispatch(value, options));
  }

  /** As `dispatchMany`, but never rejects. */
  tryDispatchMany(values: Values<In>, options?: DispatchOptions): Promise<Outcome<Out[]>> {
    return outcomeOf(() => this.dispatchMany(values, options));
  }

  /**
   * Submits many values and yields their results as parts finish, in the order of the values; the events of hooks come
   * before the results of their part. Work starts at the call. Leaving the loop early releases everything.
   * @throws as `dispatch`, from the iteration
   * @example
   * for await (const event of serving.stream(values)) if (event.type === 'batch') write(event.output);
   */
  stream(values: Values<In>, options?: DispatchOptions): AsyncIterableIterator<StreamEvent<Out, Hook>> {
    // With one type argument: TypeScript before 5.6 knows no second one.
    return this.#core.stream(values, options) as Channel & AsyncIterableIterator<StreamEvent<Out, Hook>>;
  }

  /** Executes the value at once and alone; `handlerTimeout` and `retry` hold. It takes no options. */
  async inline(value: In, options?: undefined): Promise<Out> {
    const results = await inlineMany(this.#core, [value], options);
    return countResults(results, 1, 'mapResults')[0] as Out;
  }

  /** As `inline` for many values, in chunks of `batchSize`; resolves to one flat list. */
  inlineMany(values: Values<In>, options?: undefined): Promise<Out[]> {
    return inlineMany(this.#core, values, options) as Promise<Out[]>;
  }

  /** As `inlineMany`, as a stream; each chunk is executed when it is read. */
  inlineStream(values: Values<In>, options?: undefined): AsyncIterableIterator<StreamEvent<Out, Hook>> {
    return inlineStream(this.#core, values, options) as unknown as AsyncIterableIterator<StreamEvent<Out, Hook>>;
  }

  /**
   * Takes no more calls, executes what was accepted (or with `pending: 'reject'` only what runs, `inline` work included),
   * and releases everything. The promise may be ignored.
   * @throws CloseError after `timeout`; callers that still wait then get `ClosedError`
   */
  close(options?: ServingCloseOptions): Promise<void> {
    return this.#core.close(options);
  }

  /** Calls `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Adds a listener; returns a function that removes it. A listener that throws harms nothing. */
  on<Name extends keyof ServingEvents>(event: Name, listener: Listener<ServingEvents[Name]>): () => void {
    return this.#core.events.on(event, listener);
  }

  /** Removes a listener. */
  off<Name extends keyof ServingEvents>(event: Name, listener: Listener<ServingEvents[Name]>): void {
    this.#core.events.off(event, listener);
  }

  /** A live, read-only view: each property returns the value of the moment. */
  get state(): ServingState {
    return this.#core.state;
  }
}

/** For pools: whether calls, streams or `inline` work are under way. */
export function isBusy(serving: { readonly state: { readonly pending: number } }): boolean {
  return servings.get(serving)?.busy ?? serving.state.pending > 0;
}

/** For pools: whether `close` was called; unknown for other classes. */
export function isClosed(serving: object): boolean {
  return servings.get(serving)?.closed === true;
}

function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return work().then(success, failure);
  } catch (error) {
    return Promise.resolve({ ok: false, error }); // a subclass has a `dispatch` that throws
  }
}

function success<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

function failure(error: unknown): Outcome<never> {
  return { ok: false, error };
}
