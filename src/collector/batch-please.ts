import { type Batcher, Collector } from './hooks.js';
import { liveState } from './state.js';
import type {
  AddOptions,
  BatchPleaseConfig,
  BatchPleaseEvents,
  BatchPleaseHooks,
  BatchPleaseOptions,
  BatchPleaseState,
  CloseOptions,
  FlushOptions,
  Prepared,
  Storage,
  WaitOptions,
} from './types.js';
import { CloseError, ClosedError, ItemError, MissingHookError, OverflowError } from '../errors.js';
import { Events, type Listener } from '../events.js';
import { Deferred, abortable, hush, ignorableRejection } from '../core/promise.js';
import { type Clock, systemClock, within } from '../core/clock.js';
import { Engine } from '../core/engine.js';
import type { Intake, Until } from '../core/intake.js';
import { Room } from '../core/admission.js';
import { checkCollectorOptions } from '../options/collector.js';
import { checkVerbOptions } from '../options/verbs.js';
import { optionsError } from '../options/check.js';
import { parseRetry } from '../options/retry.js';

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
  'batchDeadLetter',
  'batchTerminate',
  'shouldFlush',
] as const;

/** Of an item that was not accepted. */
class Refusal {
  constructor(readonly error: Error) {}
}

/* eslint-disable @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unsafe-declaration-merging,
   @typescript-eslint/no-unused-vars -- the class declares its hooks, all of them optional, by merging with their
   interface, whose parameters have to be the same: subclasses may leave them out */
type NoEvents = {};
export interface BatchPlease<Item, Batch, MoreEvents> extends BatchPleaseHooks<Item, Batch> {}

/**
 * Collects items into batches and delivers each batch when it is full, heavy or old enough, or on demand.
 *
 * After Elixir's BatchPlease: subclass it and write `batchInit`, `batchAddItem` and `batchFlush`, or pass them as options.
 */
export abstract class BatchPlease<Item, Batch = unknown, MoreEvents extends Record<string, unknown> = NoEvents> {
  /** Of ready-made collectors that keep items outside; to be set by their constructor. */
  protected storage: Storage<Item, Batch> | undefined;
  readonly #options: BatchPleaseOptions<Item, Batch>;
  readonly #config: BatchPleaseConfig;
  readonly #clock: Clock;
  readonly #origin: number;
  readonly #events = new Events<BatchPleaseEvents<Item> & MoreEvents>();
  /** These are made at the first use: in the constructor a subclass has no fields yet. */
  #engine: Engine<Item, Batch, Batch> | undefined;
  #intake: Intake<Item, Batch> | undefined;
  #collector!: Collector<Item, Batch>;
  #room!: Room;
  /** An item is accepted without further questions while fewer are pending; never while a hook is missing, or once closed. */
  #admits = -1;
  #closed: Promise<void> | undefined;
  /** Items that were refused or dropped before they were accepted. */
  #turnedAway = 0;
  #state: BatchPleaseState<Item, Batch> | undefined;

  constructor(options: BatchPleaseOptions<Item, Batch> = {}) {
    checkCollectorOptions(this.constructor.name, options);
    this.#options = Object.freeze({ ...options });
    this.#clock = options.clock ?? systemClock;
    this.#origin = this.#clock.now();
    this.#config = Object.freeze({
      maxBatchSize: options.maxBatchSize ?? Infinity,
      maxBatchWeight: options.maxBatchWeight ?? Infinity,
      maxTimeSinceFirstItem: options.maxTimeSinceFirstItem ?? Infinity,
      maxTimeSinceLastFlush: options.maxTimeSinceLastFlush ?? Infinity,
      flushInterval: options.flushInterval ?? Infinity,
      flushJitter: options.flushJitter ?? 0,
      flushConcurrency: options.flushConcurrency ?? 1,
      flushTimeout: options.flushTimeout ?? Infinity,
      retry: Object.freeze(parseRetry(this.constructor.name, options.retry)),
      giveUp: options.giveUp ?? 'hold',
      highWaterMark: options.highWaterMark ?? Infinity,
      maxPending: options.maxPending ?? Infinity,
      overflow: options.overflow ?? 'wait',
      unref: options.unref ?? false,
    });
  }

  /**
   * Takes the item without waiting. `false` means "slow down", or that it was not accepted (full, closed). If the item
   * will never be delivered, why is told to `onError` and by event.
   */
  addItem(item: Item, options?: AddOptions): boolean {
    return (options === undefined && this.#intake?.join(item) === true) || this.#addItem(item, options?.onError);
  }

  /** The same for all of them; `false` if it was so for one, or is so without any. */
  addItems(items: Iterable<Item>, options?: AddOptions): boolean {
    let ready: boolean | undefined;
    for (const item of items) ready = this.addItem(item, options) && ready !== false;
    return ready ?? (this.#engine?.ledger.pending ?? 0) < this.#config.highWaterMark;
  }

  /**
   * Resolves when the item is in its batch and, if it made that batch due, that batch is settled, so that awaiting
   * producers cannot outrun the sink. Waits for room when the batcher is full.
   */
  syncAddItem(item: Item, options?: WaitOptions): Promise<void> {
    const joined = options === undefined ? this.#intake?.joinUntil(item, 'joined') : undefined;
    if (joined !== undefined) return joined;
    const engine = this.#engine ?? this.#start();
    return this.#addAwaited(engine, item, this.batchAddItems === undefined ? 'joined' : 'stored', options?.signal);
  }

  /** Resolves when the batch that holds the item has been delivered. Waits for room when the batcher is full. */
  deliverItem(item: Item, options?: WaitOptions): Promise<void> {
    const delivered = options === undefined ? this.#intake?.joinUntil(item, 'delivered') : undefined;
    return delivered ?? this.#addAwaited(this.#engine ?? this.#start(), item, 'delivered', options?.signal);
  }

  /**
   * Delivers everything accepted before the call, in flight or not, as soon as possible, and resolves when it is settled.
   * A batch that waits for its retry, or is held, is tried at once.
   *
   * Rejects with `FlushError` when a batch that it covers is held or dropped, with `TimeoutError` after `timeout`.
   */
  flush(options?: FlushOptions): Promise<void> {
    checkVerbOptions('flush', options);
    if (this.#closed !== undefined) return this.#closed;
    if (options?.signal?.aborted === true) return ignorableRejection(options.signal.reason);
    const engine = this.#engine ?? this.#start();
    return abortable(engine.flush(options?.timeout ?? Infinity), options?.signal);
  }

  /**
   * Takes no more items, delivers what is pending, runs `batchTerminate` and releases everything.
   *
   * Rejects with `CloseError` if something could not be delivered.
   */
  close(options?: CloseOptions): Promise<void> {
    checkVerbOptions('close', options);
    if (this.#closed === undefined) {
      const engine = this.#engine ?? this.#start();
      const closed = new Deferred();
      // Before anything else: the hooks that run now may call back.
      this.#closed = closed.promise;
      this.#admits = -1;
      engine.intake.capacity = 0;
      this.#close(engine, options?.timeout ?? 30_000, options?.flush ?? true).then(
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Returns a function that removes the listener. */
  on<Name extends keyof (BatchPleaseEvents<Item> & MoreEvents)>(
    event: Name,
    listener: Listener<(BatchPleaseEvents<Item> & MoreEvents)[Name]>,
  ): () => void {
    return this.#events.on(event, listener);
  }

  off<Name extends keyof (BatchPleaseEvents<Item> & MoreEvents)>(
    event: Name,
    listener: Listener<(BatchPleaseEvents<Item> & MoreEvents)[Name]>,
  ): void {
    this.#events.off(event, listener);
  }

  get state(): BatchPleaseState<Item, Batch> {
    this.#state ??= liveState(this.#engine ?? this.#start(), this.#collector, this.#config, () => this.#turnedAway);
    return this.#state;
  }

  /**
   * For collectors that store batches outside: takes over a batch of an earlier life, to be delivered before everything
   * else, oldest first, with the reason `'recovery'`. To be called before or in the first `batchInit`.
   */
  protected adopt(batch: Batch, size: number, attempts = 0): void {
    (this.#engine ?? this.#start()).adopt(batch, size, attempts);
  }

  /** Starts what was adopted, and lets in who waits for room. */
  protected look(): void {
    this.#engine?.turn();
  }

  /** An event of the collector's own; with a `warning`, which is printed once if nobody listens. */
  protected announce<Name extends keyof MoreEvents>(event: Name, payload: MoreEvents[Name], warning?: string): void {
    if (this.#engine === undefined) this.#start();
    const heard = this.#events.has(event);
    this.#events.emit(event, payload as (BatchPleaseEvents<Item> & MoreEvents)[Name]);
    if (!heard && warning !== undefined) this.#collector.report(warning, undefined);
  }

  // Taking items

  #addItem(item: Item, onError: AddOptions['onError']): boolean {
    const engine = this.#engine ?? this.#start();
    if (onError != null && typeof onError !== 'function') {
      throw optionsError('addItem', 'onError', 'a function', onError);
    }
    const entry = this.#prepare(engine, item, onError != null);
    const refusal = this.#refusalOf(engine, item, entry, onError != null);
    if (refusal !== undefined) {
      this.#tell(onError, refusal);
      return false;
    }
    this.storage?.accepted(entry as Prepared<Item>);
    if (onError == null) engine.intake.add(entry as Item);
    else this.#addHeard(engine, entry as Item, onError);
    return engine.ledger.pending < this.#config.highWaterMark;
  }

  #addHeard(engine: Engine<Item, Batch, Batch>, item: Item, onError: (error: Error) => void): void {
    const position = engine.ledger.accepted;
    const { heard } = this.#collector;
    heard.add(position);
    const delivered = engine.intake.addUntil(item, 'delivered');
    const refusal = engine.intake.refusalOf(position);
    if (refusal !== undefined) {
      heard.delete(position);
      this.#tell(onError, refusal);
      return;
    }
    delivered.then(
      () => heard.delete(position),
      (error: unknown) => {
        heard.delete(position);
        this.#tell(onError, error as Error);
      },
    );
  }

  #addAwaited(
    engine: Engine<Item, Batch, Batch>,
    item: Item,
    until: Until,
    signal: AbortSignal | null | undefined,
  ): Promise<void> {
    if (signal != null && typeof signal.addEventListener !== 'function') {
      return ignorableRejection(optionsError(this.constructor.name, 'signal', 'an AbortSignal', signal));
    }
    if (signal?.aborted === true) return ignorableRejection(signal.reason);
    try {
      const entry = this.#prepare(engine, item, false);
      const waiting = this.#waitForRoom(engine, item, entry, until, signal);
      if (waiting !== undefined) return abortable(waiting, signal);
      const refusal = this.#refusalOf(engine, item, entry, false);
      if (refusal !== undefined) return ignorableRejection(refusal);
      return abortable(this.#enter(engine, entry as Item, until), signal);
    } catch (error) {
      return ignorableRejection(error);
    }
  }

  #waitForRoom(
    engine: Engine<Item, Batch, Batch>,
    item: Item,
    entry: Item | Refusal,
    until: Until,
    signal: AbortSignal | null | undefined,
  ): Promise<void> | undefined {
    if (entry instanceof Refusal || this.#hasRoom(engine, entry)) return undefined;
    const { overflow } = this.#config;
    if (this.#admits < 0 || overflow === 'reject' || overflow === 'dropNewest') return undefined;
    if (overflow === 'dropOldest' && this.#dropOldest(engine, entry)) return undefined;
    const turnAway = (): Error => this.#turnAway(item, new ClosedError('closed while waiting for room'), false);
    const { storage } = this;
    const fits = storage && ((): boolean => storage.hasRoom(entry as Prepared<Item>));
    const waiting = this.#room.wait(() => this.#enter(engine, entry, until), turnAway, signal, 1, fits);
    waiting.catch(() => undefined);
    return waiting;
  }

  #enter(engine: Engine<Item, Batch, Batch>, entry: Item, until: Until): Promise<void> {
    this.storage?.accepted(entry as Prepared<Item>);
    return engine.intake.addUntil(entry, until);
  }

  /** What is kept of an item until it has joined. */
  #prepare(engine: Engine<Item, Batch, Batch>, item: Item, heard: boolean): Item | Refusal {
    if (this.storage === undefined || this.#closed !== undefined) return item;
    if (this.#admits < 0) this.#open(engine);
    try {
      return this.storage.prepare(item) as Item;
    } catch (error) {
      const refusal = error instanceof OverflowError ? error : new ItemError('encode', error);
      return new Refusal(this.#turnAway(item, refusal, heard));
    }
  }

  #hasRoom(engine: Engine<Item, Batch, Batch>, entry: Item): boolean {
    const { storage } = this;
    return engine.ledger.pending < this.#admits && (storage?.hasRoom(entry as Prepared<Item>) ?? true);
  }

  /** Why the item cannot be accepted, after what can be done to make room for it. */
  #refusalOf(engine: Engine<Item, Batch, Batch>, item: Item, entry: Item | Refusal, heard: boolean): Error | undefined {
    if (entry instanceof Refusal) return entry.error;
    if (this.#closed !== undefined) return this.#turnAway(item, new ClosedError('it takes no more items'), heard);
    if (this.#admits < 0) this.#open(engine);
    if (this.#hasRoom(engine, entry)) return undefined;
    const { overflow } = this.#config;
    if (overflow === 'dropOldest' && this.#dropOldest(engine, entry)) return undefined;
    const full = this.#overflowError(engine, entry);
    if (overflow === 'dropNewest') {
      this.#turnedAway++;
      this.#collector.counts.dropped++;
      this.#collector.tellDropped('overflow', 1, full, heard);
      return full;
    }
    return this.#turnAway(item, full, heard);
  }

  /** Drops batches that are not in flight until there is room; `false` if there is none all the same. */
  #dropOldest(engine: Engine<Item, Batch, Batch>, entry: Item): boolean {
    const full = this.#overflowError(engine, entry);
    while (!this.#hasRoom(engine, entry) && engine.dropOldest(full));
    return this.#hasRoom(engine, entry);
  }

  #overflowError(engine: Engine<Item, Batch, Batch>, entry: Item): Error {
    const { maxPending } = this.#config;
    const { storage } = this;
    if (storage !== undefined && engine.ledger.pending < maxPending) return storage.overflow(entry as Prepared<Item>);
    return new OverflowError(`full: ${maxPending} items are pending`, engine.ledger.pending, maxPending);
  }

  #turnAway(item: Item, error: Error, heard: boolean): Error {
    this.#turnedAway++;
    this.#collector.counts.refused++;
    this.#collector.tellRefused(item, error, heard);
    return error;
  }

  #tell(onError: AddOptions['onError'], error: Error): void {
    const report = (thrown: unknown): void => {
      this.#collector.report('onError threw', thrown);
    };
    try {
      hush(onError?.(error), report);
    } catch (thrown) {
      report(thrown);
    }
  }

  // Beginning and end

  /**
   * A hook given as an option becomes a method of this batcher, and so wins over its class; once, when a subclass has set
   * its fields.
   */
  #start(): Engine<Item, Batch, Batch> {
    for (const name of HOOKS) {
      const value: unknown = Reflect.get(this.#options, name);
      if (value != null) Object.defineProperty(this, name, { value, configurable: true });
    }
    const own = this.storage?.begin(Object.fromEntries(HOOKS.map((name) => [name, Reflect.get(this, name)])));
    for (const [name, value] of Object.entries(own ?? {})) Object.defineProperty(this, name, { value });
    const config = this.#config;
    this.#collector = new Collector({
      batcher: this as unknown as Batcher<Item, Batch>, // without its required hooks nothing is added
      options: this.#options,
      config,
      clock: this.#clock,
      events: this.#events as unknown as Events<BatchPleaseEvents<Item>>, // more than these does no harm
      storage: this.storage,
      admit: () => {
        this.#room.admit();
      },
    });
    const limits = {
      size: config.maxBatchSize,
      weight: config.maxBatchWeight,
      age: config.maxTimeSinceFirstItem,
      sinceFlush: config.maxTimeSinceLastFlush,
      interval: config.flushInterval,
      jitter: config.flushJitter,
      lanes: config.flushConcurrency,
      attempt: config.flushTimeout,
      entry: config.flushTimeout,
      random: Math.random,
    };
    const engine = new Engine(this.#collector, limits, this.#clock, this.#origin, config.unref);
    this.#room = new Room(
      config.maxPending,
      () => engine.ledger.pending,
      () => {
        engine.demand();
      },
    );
    if (this.#missingHook() === undefined) this.#open(engine);
    this.#engine = engine;
    this.#intake = engine.intake;
    return engine;
  }

  /** Lets items in, if there are hooks to take them. */
  #open(engine: Engine<Item, Batch, Batch>): void {
    const missing = this.#missingHook();
    if (missing !== undefined) throw new MissingHookError(missing, this.constructor.name);
    this.#admits = this.#config.maxPending;
    engine.intake.capacity = Math.min(this.#admits, this.#config.highWaterMark - 1);
  }

  #missingHook(): string | undefined {
    if (this.batchInit == null) return 'batchInit';
    if (this.batchAddItem == null && this.batchAddItems == null) return 'batchAddItem';
    return this.batchFlush == null ? 'batchFlush' : undefined;
  }

  async #close(engine: Engine<Item, Batch, Batch>, timeout: number, flush: boolean): Promise<void> {
    const deadline = this.#clock.now() + timeout;
    this.#room.close();
    const left = await engine.close(timeout, flush);
    const { batches } = left;
    const terminated = Promise.all(
      (batches.length === 0 ? [undefined] : batches).map((batch) => this.#terminate(batch)),
    );
    const patience = Math.max(deadline - this.#clock.now(), TERMINATE_GRACE);
    await within(this.#clock, patience, terminated, () => {
      this.#collector.report(`batchTerminate took longer than ${patience} ms`, undefined);
    });
    try {
      await this.storage?.end();
    } catch (error) {
      this.#collector.report('the storage was not closed', error);
    }
    this.#collector.tellClosed(left.entries);
    if (flush && left.entries > 0) throw new CloseError(left.entries, batches, left.cause);
  }

  async #terminate(batch: Batch | undefined): Promise<void> {
    try {
      await this.batchTerminate?.(batch);
    } catch (error) {
      this.#collector.report('batchTerminate failed', error);
    }
  }
}
