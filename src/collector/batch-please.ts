import { Core } from '../core/core.js';
import { SafeClock, systemClock, within } from '../core/clock.js';
import { Deferred, abortable, hush, ignorableRejection } from '../core/promise.js';
import { CloseError, MissingHookError } from '../errors.js';
import { Events, type Listener } from '../events.js';
import { optionsError } from '../options/check.js';
import { readChangedOptions, readCollectorOptions } from '../options/collector.js';
import { checkVerbOptions } from '../options/verbs.js';
import { Admission } from './admission.js';
import { AppendQueue, type Until } from './append-queue.js';
import { configOf, limitsOf } from './config.js';
import { type Batcher, CollectorDriver } from './hooks.js';
import { Reports } from './reports.js';
import { liveState } from './state.js';
import type * as types from './types.js';

/** How long the terminate hooks may take after the time of `close` is up, in milliseconds. */
const TERMINATE_GRACE = 1000;

const HOOKS = [
  'batchInit',
  'batchAddItem',
  'batchAddItems',
  'batchId',
  'batchPreFlush',
  'batchFlush',
  'batchPostFlush',
  'batchSplit',
  'batchDeadLetter',
  'batchTerminate',
  'shouldFlush',
] as const;

/** Where ready-made collectors that keep items outside put their storage; a symbol, so that no field of a user's clashes. */
export const STORAGE: unique symbol = Symbol.for('batch-please.storage');

/** Made at the first use: in the constructor a subclass has no fields yet. */
interface Parts<Item, Batch> {
  core: Core<Batch>;
  queue: AppendQueue<Item, Batch>;
  driver: CollectorDriver<Item, Batch>;
  admission: Admission<Item, Batch>;
  reports: Reports<Item, Batch>;
  state: types.BatchPleaseState<Item, Batch>;
}

/* eslint-disable @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unsafe-declaration-merging,
   @typescript-eslint/no-unused-vars -- the class declares its hooks, all of them optional, by merging with their
   interface, whose parameters have to be the same: subclasses may leave them out */
type NoEvents = {};
export interface BatchPlease<Item, Batch, MoreEvents> extends types.BatchPleaseHooks<Item, Batch> {}

/**
 * Collects items into batches and delivers each batch when it is full, heavy or old enough, or on demand.
 *
 * After Elixir's BatchPlease: subclass it and write `batchInit`, `batchAddItem` and `batchFlush`, or pass them as options.
 *
 * @example
 * class Summer extends BatchPlease<number, { sum: number }> {
 *   batchInit() { return { sum: 0 }; }
 *   batchAddItem(batch: { sum: number }, item: number) { batch.sum += item; }
 *   batchFlush(batch: { sum: number }) { console.log(batch.sum); }
 * }
 */
export abstract class BatchPlease<Item, Batch = unknown, MoreEvents extends Record<string, unknown> = NoEvents> {
  /** For ready-made collectors that keep items outside; set by their constructor. */
  protected [STORAGE]: types.Storage<Item, Batch> | undefined;
  readonly #options: types.BatchPleaseOptions<Item, Batch>;
  readonly #clock: SafeClock;
  readonly #origin: number;
  readonly #events = new Events<types.BatchPleaseEvents<Item, Batch> & MoreEvents>();
  #config: types.BatchPleaseConfig;
  #parts: Parts<Item, Batch> | undefined;
  /** Beside `#parts`, so that the fast path finds it in one step. */
  #queue: AppendQueue<Item, Batch> | undefined;
  #ready = false;
  #closed: Promise<void> | undefined;

  /** @throws `OptionsError` at the first wrong or unknown option. */
  constructor(options: types.BatchPleaseOptions<Item, Batch> = {}) {
    this.#options = Object.freeze(readCollectorOptions(this.constructor.name, options));
    this.#clock = new SafeClock(this.#options.clock ?? systemClock);
    this.#origin = this.#clock.now();
    this.#config = configOf(this.constructor.name, this.#options);
  }

  /**
   * Takes the item without waiting. `false` means "slow down", or that it was not accepted (full, closed). If the item
   * will never be delivered, `onError` is called with the reason, and an event is emitted.
   *
   * @throws `MissingHookError` if a required hook is neither method nor option.
   */
  addItem(item: Item, options?: types.AddOptions): boolean {
    return (options === undefined && this.#queue?.join(item) === true) || this.#addItem(item, options?.onError);
  }

  /** The same for all of them; `false` if it was so for one, or is so without any. */
  addItems(items: Iterable<Item>, options?: types.AddOptions): boolean {
    let ready: boolean | undefined;
    for (const item of items) ready = this.addItem(item, options) && ready !== false;
    return ready ?? (this.#parts?.core.pending ?? 0) < this.#config.highWaterMark;
  }

  /**
   * Resolves when the item is in its batch and, if it made that batch due, a lane is free again once that batch has
   * started, so that awaiting producers cannot outrun the sink. Waits for room when the batcher is full.
   *
   * Rejects only if the item will never be delivered: with `ItemError`, `OverflowError`, `FlushError`, `ClearedError`,
   * `ClosedError`, or the reason of `signal`.
   */
  syncAddItem(item: Item, options?: types.WaitOptions): Promise<void> {
    const joined = options === undefined ? this.#queue?.joinUntil(item, 'joined') : undefined;
    return joined ?? this.#addAwaited(item, 'joined', options);
  }

  /** Resolves when the item has been delivered. Waits for room when the batcher is full. Rejects as `syncAddItem`. */
  deliverItem(item: Item, options?: types.WaitOptions): Promise<void> {
    const delivered = options === undefined ? this.#queue?.joinUntil(item, 'delivered') : undefined;
    return delivered ?? this.#addAwaited(item, 'delivered', options);
  }

  /**
   * Delivers everything accepted before the call, in flight or not, as soon as possible, and resolves when it is settled.
   * A batch that waits for its retry, or is held, is tried at once.
   *
   * Rejects with `FlushError` when a batch that it covers is held or dropped, with `TimeoutError` after `timeout`.
   *
   * @throws `OptionsError`
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
   * Takes no more items, delivers what is pending, runs `batchTerminate` and releases everything.
   *
   * Rejects with `CloseError` if something could not be delivered.
   *
   * @throws `OptionsError`
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
      this.#close(parts, options?.timeout ?? 30_000, options?.flush ?? true).then(
        () => {
          closed.resolve();
        },
        (error: unknown) => {
          closed.reject(error);
        },
      );
    }
    return this.#closed;
  }

  /**
   * Takes back every batch that is not in flight: open, queued, waiting for a retry or held; oldest first. Promises about
   * their items reject with `ClearedError`. Items whose asynchronous add hook has not answered stay, and so does the open
   * batch that they are joining.
   */
  clear(): Batch[] {
    return this.#made().core.clear();
  }

  /** From now on no attempt starts; adds go on. */
  pause(): void {
    this.#made().core.pause();
  }

  resume(): void {
    this.#made().core.resume();
  }

  /**
   * Changes limits, triggers, lanes, timeouts and policies while running, all or nothing.
   *
   * @throws `OptionsError`
   */
  configure(options: types.ChangeableOptions): void {
    const owner = this.constructor.name;
    const changed = readChangedOptions(owner, options, this.#options.weigh != null);
    const config = configOf(owner, { ...currentOptions(this.#config), ...changed });
    const { core, queue, admission } = this.#made();
    this.#config = config;
    Object.assign(core.limits, limitsOf(config));
    admission.update(this.#ready && queue.fast);
    core.configured();
    admission.room.admit();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Returns a function that removes the listener. */
  on<Name extends keyof (types.BatchPleaseEvents<Item, Batch> & MoreEvents)>(
    event: Name,
    listener: Listener<(types.BatchPleaseEvents<Item, Batch> & MoreEvents)[Name]>,
  ): () => void {
    return this.#events.on(event, listener);
  }

  off<Name extends keyof (types.BatchPleaseEvents<Item, Batch> & MoreEvents)>(
    event: Name,
    listener: Listener<(types.BatchPleaseEvents<Item, Batch> & MoreEvents)[Name]>,
  ): void {
    this.#events.off(event, listener);
  }

  /** A live, read-only view: each look reads the numbers of the moment. */
  get state(): types.BatchPleaseState<Item, Batch> {
    return this.#made().state;
  }

  /**
   * For collectors that store batches outside: takes over a batch of an earlier process, to be delivered before everything
   * else, oldest first, with the reason `'recovery'`.
   */
  protected adopt(batch: Batch, size: number, attempts = 0): void {
    this.#made().core.adopt(batch, size, attempts);
  }

  /** Starts what was adopted, and lets in callers that wait for room. */
  protected look(): void {
    this.#parts?.core.turn();
  }

  /** While `on`, only batches that were adopted start: others of them are still being found. */
  protected recovering(on: boolean): void {
    const { core } = this.#made();
    core.recovering = on;
    if (!on) core.turn();
  }

  /** An event of the collector's own; with a `warning`, which is printed once if nobody listens. */
  protected announce<Name extends keyof MoreEvents>(event: Name, payload: MoreEvents[Name], warning?: string): void {
    const { reports } = this.#made();
    const heard = this.#events.has(event);
    this.#events.emit(event, payload as (types.BatchPleaseEvents<Item, Batch> & MoreEvents)[Name]);
    if (!heard && warning !== undefined) reports.warn(warning, undefined);
  }

  // Taking items

  #addItem(item: Item, onError: types.AddOptions['onError']): boolean {
    const { core, queue, admission } = this.#open();
    if (onError != null && typeof onError !== 'function') {
      throw optionsError('addItem', 'onError', 'a function', onError);
    }
    const entry = admission.prepare(item, onError != null);
    const refusal = admission.refusalOf(item, entry, onError != null);
    if (refusal !== undefined) {
      this.#reject(onError, refusal);
      return false;
    }
    this[STORAGE]?.accepted(entry as types.Prepared<Item>);
    if (onError == null) queue.add(entry as Item);
    else {
      const position = core.accepted;
      const delivered = queue.addUntil(entry as Item, 'delivered', true);
      const refused = queue.refusalOf(position);
      if (refused !== undefined) this.#reject(onError, refused);
      else {
        delivered.then(undefined, (error: unknown) => {
          this.#reject(onError, error as Error);
        });
      }
    }
    return core.pending < this.#config.highWaterMark;
  }

  #addAwaited(item: Item, until: Until, options: types.WaitOptions | undefined): Promise<void> {
    const signal = options?.signal;
    if (!this.#ready) {
      try {
        this.#open();
      } catch (error) {
        return ignorableRejection(error);
      }
    }
    const { queue, admission } = this.#made();
    if (signal != null && typeof signal.addEventListener !== 'function') {
      return ignorableRejection(optionsError(this.constructor.name, 'signal', 'an AbortSignal', signal));
    }
    if (signal?.aborted === true) return ignorableRejection(signal.reason);
    const entry = admission.prepare(item, false);
    const enter = (): Promise<void> => {
      this[STORAGE]?.accepted(entry as types.Prepared<Item>);
      return queue.addUntil(entry as Item, until === 'joined' && this.batchAddItems != null ? 'stored' : until);
    };
    const waiting = admission.wait(item, entry, enter, signal);
    if (waiting !== undefined) {
      admission.update(queue.fast);
      return abortable(waiting, signal);
    }
    const refusal = admission.refusalOf(item, entry, false);
    return refusal === undefined ? abortable(enter(), signal) : ignorableRejection(refusal);
  }

  #reject(onError: types.AddOptions['onError'], error: Error): void {
    const report = (thrown: unknown): void => {
      this.#made().reports.warn('onError threw', thrown);
    };
    try {
      hush(onError?.(error), report);
    } catch (thrown) {
      report(thrown);
    }
  }

  // Beginning and end

  #made(): Parts<Item, Batch> {
    this.#parts ??= this.#make();
    return this.#parts;
  }

  /** A hook given as an option becomes a method of this batcher, and so wins over its class. */
  #make(): Parts<Item, Batch> {
    for (const name of HOOKS) {
      const value: unknown = Reflect.get(this.#options, name);
      if (value != null) Object.defineProperty(this, name, { value, configurable: true });
    }
    const storage = this[STORAGE];
    const own = storage?.begin(Object.fromEntries(HOOKS.map((name) => [name, Reflect.get(this, name)])));
    for (const [name, value] of Object.entries(own ?? {})) Object.defineProperty(this, name, { value });
    const config = (): types.BatchPleaseConfig => this.#config;
    const events = this.#events as unknown as Events<types.BatchPleaseEvents<Item, Batch>>; // more than these does no harm
    const idOf = this.batchId == null ? undefined : (batch: Batch): string | undefined => this.batchId?.(batch);
    const reports = new Reports<Item, Batch>(events, () => this.constructor.name, this.#clock, idOf);
    const driver = new CollectorDriver<Item, Batch>({
      batcher: this as unknown as Batcher<Item, Batch>, // without its required hooks nothing is added
      options: this.#options,
      config,
      reports,
      storage,
      admit: () => {
        this.#admit();
      },
      atExit: { flush: () => this.flush() },
    });
    const core = new Core<Batch>(driver, limitsOf(this.#config), this.#clock, this.#origin, this.#config.unref);
    const queue = new AppendQueue<Item, Batch>(core, driver);
    core.durable = storage !== undefined;
    driver.core = core;
    driver.queue = queue;
    const admission = new Admission<Item, Batch>({ core, driver, reports, storage, config });
    const turnedAway = (): number => admission.turnedAway;
    const state = liveState({ core, queue, driver, reports, config, turnedAway });
    return { core, queue, driver, admission, reports, state };
  }

  #admit(): void {
    const parts = this.#parts;
    if (parts === undefined || !parts.admission.room.crowded) return;
    parts.admission.room.admit();
    parts.admission.update(this.#ready && parts.queue.fast);
  }

  /** Lets items in, if there are hooks to take them. */
  #open(): Parts<Item, Batch> {
    const parts = this.#made();
    if (this.#ready) return parts;
    const missing = this.#missingHook();
    if (missing !== undefined) throw new MissingHookError(missing, this.constructor.name);
    this.#ready = true;
    this.#queue = parts.queue;
    parts.admission.update(parts.queue.fast);
    return parts;
  }

  #missingHook(): string | undefined {
    if (this.batchInit == null) return 'batchInit';
    if (this.batchAddItem == null && this.batchAddItems == null) return 'batchAddItem';
    return this.batchFlush == null ? 'batchFlush' : undefined;
  }

  async #close({ core, admission, reports }: Parts<Item, Batch>, timeout: number, flush: boolean): Promise<void> {
    const deadline = this.#clock.now() + timeout;
    admission.room.close();
    const { states, entries, cause } = await core.close(timeout, flush);
    const terminated = Promise.all((states.length === 0 ? [undefined] : states).map((batch) => this.#terminate(batch)));
    const grace = Math.max(deadline - this.#clock.now(), TERMINATE_GRACE);
    await within(this.#clock, grace, terminated, () => {
      reports.warn(`batchTerminate took longer than ${grace} ms`, undefined);
    });
    try {
      await this[STORAGE]?.end();
    } catch (error) {
      reports.warn('the storage was not closed', error);
    }
    this.#made().driver.closed();
    reports.closed(entries);
    if (flush && entries > 0) throw new CloseError(entries, states, cause);
  }

  async #terminate(batch: Batch | undefined): Promise<void> {
    try {
      await this.batchTerminate?.(batch);
    } catch (error) {
      this.#made().reports.warn('batchTerminate failed', error);
    }
  }
}

/** The options that give the config, for `configure` to change some of them. */
function currentOptions(config: types.BatchPleaseConfig): types.BatchPleaseOptions<never, never> {
  const { retry, ...rest } = config;
  return { ...rest, retry: retry as types.BatchPleaseOptions<never, never>['retry'] };
}
