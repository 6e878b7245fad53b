import { SafeClock, systemClock } from '../core/clock.js';
import { Deferred, ignorableRejection } from '../core/promise.js';
import { MissingHookError } from '../errors.js';
import { Events, type Listener } from '../events.js';
import { readChangedOptions, readCollectorOptions } from '../options/collector.js';
import { checkVerbOptions } from '../options/verbs.js';
import { addAwaited, addNow } from './adding.js';
import type { AppendQueue } from './append-queue.js';
import { closeParts } from './closing.js';
import { changedConfig, configOf, limitsOf } from './config.js';
import { watchBeforeExit } from './exit.js';
import type { Batcher } from './hooks.js';
import { type Parts, STORAGE, assemble, missingHook } from './parts.js';
import type * as types from './types.js';

/* eslint-disable @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unsafe-declaration-merging,
   @typescript-eslint/no-unused-vars -- the class declares its optional hooks by merging with their interface */
type NoEvents = {};
type AllEvents<Item, Batch, MoreEvents> = types.BatchPleaseEvents<Item, Batch> & MoreEvents;
/** The hooks of a collector, all of them optional methods. */
export interface BatchPlease<Item, Batch, MoreEvents> extends types.BatchPleaseHooks<Item, Batch> {}

/**
 * Collects items into batches and delivers each batch when it is full, heavy or old enough, or on demand.
 *
 * After Elixir's BatchPlease: subclass it and write `batchInit`, `batchAddItem` and `batchFlush`, or pass them as options.
 */
export abstract class BatchPlease<Item, Batch = unknown, MoreEvents extends Record<string, unknown> = NoEvents> {
  /** Set by the constructor of a ready-made collector that keeps its items outside. */
  declare protected [STORAGE]: types.Storage<Item, Batch> | undefined;
  readonly #options: types.BatchPleaseOptions<Item, Batch>;
  readonly #clock: SafeClock;
  readonly #origin: number;
  readonly #events = new Events<AllEvents<Item, Batch, MoreEvents>>();
  #config: types.BatchPleaseConfig;
  #parts: Parts<Item, Batch> | undefined;
  /** Set once there are hooks to take items; beside `#parts`, so that the fast path finds it in one step. */
  #queue: AppendQueue<Item, Batch> | undefined;
  #closed: Promise<void> | undefined;

  /** @throws `OptionsError` at the first wrong or unknown option. */
  constructor(options: types.BatchPleaseOptions<Item, Batch> = {}) {
    this.#options = Object.freeze(readCollectorOptions(this.constructor.name, options));
    this.#clock = new SafeClock(this.#options.clock ?? systemClock);
    this.#origin = this.#clock.now();
    this.#config = configOf(this.constructor.name, this.#options);
    if (!this.#config.unref) watchBeforeExit();
  }

  /**
   * Takes the item without waiting. `false` means "slow down" (`highWaterMark`), or that it was not accepted (full, closed).
   * If the item will never be delivered, `onError` is called with the reason, and an event is emitted.
   * @throws `MissingHookError` if a required hook is neither method nor option.
   */
  addItem(item: Item, options?: types.AddOptions): boolean {
    const fast = options === undefined ? this.#queue?.join(item) : undefined;
    if (fast === true) return true;
    const parts = this.#open();
    return (fast === false || addNow(parts, item, options?.onError)) && parts.core.pending < this.#config.highWaterMark;
  }

  /** Adds all items as `addItem` does; `false` if one of these calls returned `false`. */
  addItems(items: Iterable<Item>, options?: types.AddOptions): boolean {
    let ready: boolean | undefined;
    for (const item of items) ready = this.addItem(item, options) && ready !== false;
    return ready ?? (this.#parts?.core.pending ?? 0) < this.#config.highWaterMark;
  }

  /**
   * Resolves when the item is in its batch and, if it made that batch due, a lane is free again once that batch has
   * started, so that awaiting producers cannot outrun the sink. Waits for room when full. The promise may be ignored.
   * @throws only if the item will never be delivered: `ItemError` (a hook refused it), `OverflowError`, `FlushError` (its
   * batch was dropped), `ClearedError`, `ClosedError`, `MissingHookError`; or the reason of `signal`. Always as a rejection.
   */
  syncAddItem(item: Item, options?: types.WaitOptions): Promise<void> {
    return (
      (options == null ? this.#queue?.joinUntil(item, 'joined') : null) ?? this.#addAwaited(item, 'joined', options)
    );
  }

  /** Resolves when the item has been delivered. Waits for room when full. May be ignored. @throws as `syncAddItem` */
  deliverItem(item: Item, options?: types.WaitOptions): Promise<void> {
    const delivered = options == null ? this.#queue?.joinUntil(item, 'delivered') : undefined;
    return delivered ?? this.#addAwaited(item, 'delivered', options);
  }

  /**
   * Delivers everything accepted before the call, in flight or not, as soon as possible, and resolves when it is settled.
   * A batch that waits for its retry, or is held, is tried at once. The promise may be ignored.
   * @throws `FlushError` when a batch that it covers is held or dropped, `TimeoutError` after `timeout`, the reason of
   * `signal`; as a rejection
   */
  flush(options?: types.FlushOptions): Promise<void> {
    checkVerbOptions('flush', options);
    if (this.#closed !== undefined) return this.#closed;
    if (options?.signal?.aborted === true) return ignorableRejection(options.signal.reason);
    const { core, queue } = this.#made();
    queue.demanded();
    return core.flush(options?.timeout ?? Infinity, options?.hurry ?? true, options?.signal ?? undefined);
  }

  /**
   * Takes no more items, delivers the pending ones, calls `batchTerminate` and releases everything. May be ignored.
   * @throws `CloseError` if something was not delivered, with the number of items and their batches; as a rejection
   */
  close(options?: types.CloseOptions): Promise<void> {
    checkVerbOptions('close', options);
    if (this.#closed === undefined) {
      const parts = this.#made();
      const closed = new Deferred();
      // Before anything else: the hooks that run now may call back.
      this.#closed = closed.promise;
      parts.admission.closed = true;
      parts.admission.update(false);
      parts.queue.demanded();
      closed.resolve(closeParts(parts, this.#clock, options?.timeout ?? 30_000, options?.flush ?? true));
    }
    return this.#closed;
  }

  /**
   * Takes back every batch that is not in flight: open, queued, waiting for a retry or held; oldest first. Promises about
   * their items reject with `ClearedError`. Items whose asynchronous add hook runs stay, and so does their open batch.
   */
  clear(): Batch[] {
    return this.#made().core.clear();
  }

  /** Lets no attempt start until `resume()` or `close()`. Adds go on. */
  pause(): void {
    this.#made().core.pause();
  }

  /** Ends a pause; batches that are due start at once. */
  resume(): void {
    this.#made().core.resume();
  }

  /**
   * Changes limits, triggers, lanes, timeouts and policies while running, all or nothing.
   * @throws `OptionsError` at the first wrong option; nothing is changed then
   */
  configure(options: types.ChangeableOptions): void {
    const owner = this.constructor.name;
    const changed = readChangedOptions(owner, options, this.#options.weigh != null);
    const config = changedConfig(owner, this.#config, changed);
    const { core, admission } = this.#made();
    this.#config = config;
    Object.assign(core.limits, limitsOf(config));
    admission.update(this.#queue?.fast === true);
    core.configured();
    admission.admit();
  }

  /** Calls `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Adds a listener; returns a function that removes it. A listener that throws harms nothing. */
  on<Name extends keyof AllEvents<Item, Batch, MoreEvents>>(
    event: Name,
    listener: Listener<AllEvents<Item, Batch, MoreEvents>[Name]>,
  ): () => void {
    return this.#events.on(event, listener);
  }

  /** Removes a listener. */
  off<Name extends keyof AllEvents<Item, Batch, MoreEvents>>(
    event: Name,
    listener: Listener<AllEvents<Item, Batch, MoreEvents>[Name]>,
  ): void {
    this.#events.off(event, listener);
  }

  /** A live, read-only view: each property returns the value of the moment. */
  get state(): types.BatchPleaseState<Item, Batch> {
    return this.#made().state;
  }

  /** Adds a stored batch of an earlier process. It is delivered before all others, with the reason `'recovery'`. */
  protected adopt(batch: Batch, size: number, attempts = 0): void {
    this.#made().core.adopt(batch, size, attempts);
  }

  /** Drops the oldest batch that is not in flight, as an overflow; `false` if there is none. */
  protected dropOldest(error: Error): boolean {
    return this.#made().core.dropOldest(error);
  }

  /** Starts adopted batches, and admits callers that wait for room. */
  protected look(): void {
    this.#parts?.core.turn();
  }

  /** While `on`, only adopted batches start: a scan still finds more of them. */
  protected recovering(on: boolean): void {
    const { core } = this.#made();
    core.recovering = on;
    if (!on) core.turn();
  }

  /** Emits an event of the subclass. The `warning` is printed once if the event has no listener. */
  protected announce<Name extends keyof MoreEvents>(event: Name, payload: MoreEvents[Name], warning?: string): void {
    const handled = warning === undefined || this.#events.has(event);
    this.#events.emit(event, payload as AllEvents<Item, Batch, MoreEvents>[Name]);
    if (!handled) this.#made().reports.warn(warning, undefined);
  }

  #made(): Parts<Item, Batch> {
    this.#parts ??= assemble<Item, Batch>({
      batcher: this as unknown as Batcher<Item, Batch>, // without its required hooks nothing is added
      options: this.#options,
      config: () => this.#config,
      clock: this.#clock,
      origin: this.#origin,
      events: this.#events as unknown as Events<types.BatchPleaseEvents<Item, Batch>>, // more than these does no harm
      storage: this[STORAGE],
      admit: () => this.#admit(),
      flush: () => this.flush(),
    });
    return this.#parts;
  }

  #addAwaited(item: Item, until: 'joined' | 'delivered', options: types.WaitOptions | undefined): Promise<void> {
    try {
      return addAwaited(this.#open(), item, until, options);
    } catch (error) {
      return ignorableRejection(error); // a required hook is missing
    }
  }

  #admit(): void {
    const { admission } = this.#made();
    if (!admission.room.crowded) return;
    admission.admit();
    admission.update(this.#queue?.fast === true);
  }

  /** Lets items in, if there are hooks to take them. */
  #open(): Parts<Item, Batch> {
    const parts = this.#made();
    if (this.#queue !== undefined) return parts;
    const missing = missingHook(parts.batcher);
    if (missing !== undefined) throw new MissingHookError(missing, this.constructor.name);
    this.#queue = parts.queue;
    parts.admission.update(parts.queue.fast);
    return parts;
  }
}
